// A run of `galvan train` in parts, so that one process can train several in turn: the command itself has one.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "apps/settings.h"
#include "models/trainer.h"

namespace galvan {

class TrainingRun {
 public:
  virtual ~TrainingRun() = default;

  // The command's options.
  virtual void add_options(Settings& settings) = 0;
  // Keeps others from the folder that the run is to be in; throws when one is at it. For who cannot leave that to begin().
  virtual void lock(const std::filesystem::path& folder) = 0;
  // Makes everything ready for the first step; `command` is for the record (apps/sessions.h). False: the run had ended
  // already.
  virtual bool begin(Settings& settings, const std::string& command) = 0;
  // Trains on (Trainer::advance). Once it tells the ending, the run's folder is complete.
  virtual std::optional<Ending> advance(const std::atomic<bool>& stop) = 0;
};

std::unique_ptr<TrainingRun> make_training_run();

}  // namespace galvan
