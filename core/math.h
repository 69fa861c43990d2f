// Elementary functions for pointwise kernels, on host and device.
#pragma once

#include <cmath>

// Marks a function that CUDA kernels call too.
#ifdef __CUDACC__
#define GALVAN_HD __host__ __device__
#else
#define GALVAN_HD
#endif

namespace galvan {}  // namespace galvan
