// Indices that an op is about to follow.
#pragma once

#include <limits>

#include "core/tensor.h"

namespace galvan {

struct BadIndex {
  int64_t position;  // -1: there is none
  int64_t value;
};

// The first element of a dense i32 tensor that is neither in 0..limit-1 nor `ignored`.
BadIndex find_bad_index(const Tensor& index, int64_t limit,
                        int64_t ignored = std::numeric_limits<int64_t>::min());

}  // namespace galvan
