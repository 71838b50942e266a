#include <fmt/format.h>

#include "apps/commands/commands.h"
#include "apps/interrupt.h"
#include "runtime/core/thread_pool.h"
#include "runtime/engine/memory_text.h"
#include "runtime/models/synthetic.h"

namespace strata::apps {
namespace {

using cli::OptionId;

std::optional<DType> type_option(const cli::Arguments& arguments, OptionId id) {
  return dtype_of_name(arguments.text(id));  // empty where the option is not given
}

const SyntheticShape& asked_shape(const cli::Arguments& arguments) {
  const std::string& name = arguments.text(OptionId::shape);
  if (const SyntheticShape* shape = find_synthetic_shape(name)) return *shape;
  throw Error(ErrorCode::usage, "synth", "no shape is given",
              fmt::format("--shape {}", fmt::join(cli::option_info(OptionId::shape).choices, "|")));
}

const std::string& asked_path(const cli::Arguments& arguments) {
  const std::string& path = arguments.text(OptionId::synthetic_output);
  if (path.empty()) throw Error(ErrorCode::usage, "synth", "no output file is given", "-o FILE");
  if (path == "-")
    throw Error(ErrorCode::usage, "-o", "a model is not written to standard output", "-o FILE");
  return path;
}

SyntheticOptions options_from(const cli::Arguments& arguments) {
  SyntheticOptions options;
  options.type = *type_option(arguments, OptionId::weight_type);
  options.output_type = type_option(arguments, OptionId::output_type);
  options.embedding_type = type_option(arguments, OptionId::embedding_type);
  options.layers = arguments.integer(OptionId::layers);
  options.seed = static_cast<std::uint64_t>(arguments.integer(OptionId::synthetic_seed));
  if (!arguments.flag(OptionId::pure)) return options;
  if (options.output_type || options.embedding_type)
    throw Error(ErrorCode::usage, "--pure", "is given beside a type for one tensor",
                "keep one of them");
  options.output_type = options.type;
  return options;
}

struct Interrupted {};

}  // namespace

int synth_command(const cli::Arguments& arguments, Console& console) {
  const SyntheticShape& shape = asked_shape(arguments);
  const std::string& path = asked_path(arguments);
  const SyntheticModel model = plan_synthetic(shape, options_from(arguments));
  const int threads = arguments.has(OptionId::threads)
                          ? static_cast<int>(arguments.integer(OptionId::threads))
                          : usable_cpus();
  const std::int64_t begin = steady_ns();
  const InterruptScope interrupt;
  OutputFile file(path, model.layout.file_bytes(), arguments.flag(OptionId::force));
  try {
    write_synthetic(model, file, threads, [&](std::uint64_t done, std::uint64_t total) {
      console.progress("Writing", done, total);
      if (interrupt.signal() != 0) throw Interrupted{};
    });
  } catch (const Interrupted&) {
    console.progress_done();
    console.note(fmt::format("interrupted: {} is not written", path));
    return exit_status(interrupt.signal());
  }
  file.commit();
  console.progress_done();
  console.note(fmt::format("{}: {}, {}, {} tensors, {} in {:.1f} s", path, shape.name,
                           arguments.text(OptionId::weight_type), model.layout.tensors().size(),
                           bytes_text(model.layout.file_bytes()),
                           static_cast<double>(steady_ns() - begin) * 1e-9));
  return 0;
}

}  // namespace strata::apps
