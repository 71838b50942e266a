#pragma once

#include "backends/sim/sim_device.h"
#include "tests/engine/running.h"

namespace strata::test {

/// The project's own tiny model on a device with its own memory and late streams.
struct Simulated {
  std::unique_ptr<sim::SimDevice> device;
  std::shared_ptr<const Model> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::unique_ptr<Runner> runner;
  std::unique_ptr<Engine> engine;  ///< has the runner, once start() was called

  void start() { engine = std::make_unique<Engine>(std::move(runner), tokenizer); }
};

inline Simulated simulate(const RunnerOptions& options, const sim::SimOptions& device = {}) {
  Simulated made;
  made.device = std::make_unique<sim::SimDevice>(open_device("cpu", {1}), device);
  made.model = Model::load(ModelFile::open(source_root() / "models" / "strata-tiny.gguf"));
  made.tokenizer = load_tokenizer(made.model->file().metadata());
  made.runner = std::make_unique<Runner>(made.model, *made.device, options);
  return made;
}

}  // namespace strata::test
