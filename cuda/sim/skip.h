// Barriers and waits that kernels pass as if they were not there: what a checked run then finds shows what each of
// them is for (tests/simcheck/mutations.cpp).
#pragma once

#include <string>
#include <vector>

#include "cuda/sim/place.h"

namespace galvan::sim {

// From now on __syncthreads, __syncwarp and cp_async_wait of this line, "cuda/softmax.cu:42", do nothing; of no line
// where it is empty. When the program starts it is GALVAN_SIM_SKIP of the environment.
void skip_barriers_of(const std::string& line);
bool is_skipped(const Place& where);

// The lines whose barriers and waits checked kernels have come to since the last call, sorted.
std::vector<std::string> take_barriers_met();

}  // namespace galvan::sim
