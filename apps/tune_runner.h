// Works on a study until its budget is used up or the user stops it: so many trials at a time, each a process, or all of
// them replicas in one.
#pragma once

#include <atomic>

#include "apps/study_store.h"

namespace galvan {

struct TuneOptions {
  int64_t jobs = 1;
  int64_t batched = 0;  // trials at a time in one process, in place of jobs
  int64_t threads = 1;  // of each process
};

enum class TuneEnding { done, stopped };

// When it returns no trial runs, and those that were stopped are nobody's. `stop` is looked at all the time.
TuneEnding run_study(StudyStore& store, const TuneOptions& options, const std::atomic<bool>& stop);

}  // namespace galvan
