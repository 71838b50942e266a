#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "apps/planned_model.h"
#include "runtime/engine/request.h"
#include "runtime/streaming/stream_stats.h"

namespace strata::apps {

/// Page faults of this process so far.
struct PageFaults {
  std::int64_t minor = 0;
  std::int64_t major = 0;  ///< that waited for a disk
};
PageFaults read_page_faults();

/// What one request took. What streaming counted is since the weights were loaded, for the first
/// request as for any other the difference is.
struct RequestFigures {
  FinishReason reason = FinishReason::stop;
  RequestTimings timings;
  std::int64_t load_ns = 0;
  StreamStats stream;
  StreamStats prompt_stream;  ///< the same when the prompt was done
  PageFaults faults;
};

/// Prompt and generation in llama.cpp's terms.
nlohmann::ordered_json timings_json(const RequestTimings& timings, std::int64_t load_ns);
double per_second(std::int64_t count, std::int64_t ns);
/// The first token comes with the prompt: what is generated after it is timed on its own.
std::int64_t timed_tokens(const RequestTimings& timings);

/// The figures of a request: times, memory, and where weights stream, per link what it moved beside
/// what it could move (measured before), waiting times, and how wrong the plan was. What was not
/// measured is null.
nlohmann::ordered_json stats_json(const PlannedModel& planned, const RequestFigures& figures);

/// Writes one line of JSON. Throws Error{io}.
void write_stats(const std::string& path, const nlohmann::ordered_json& object);

}  // namespace strata::apps
