// Every kernel, declared once for each execution context. Ops (core/ops) check and allocate; kernels only
// compute, on dense row-major data unless strides are named. The CPU's are defined in core/cpu, one file a
// family; CUDA's, likewise, in cuda. What they take is here, they themselves are listed in core/kernel_list.h.
//
// R rows and C columns; an element type T is accumulated in Acc<T>.
#pragma once

#include <algorithm>

#include "core/batch_windows.h"
#include "core/dispatch.h"
#include "core/gemm_layout.h"
#include "core/head_layout.h"
#include "core/sampling_rule.h"
#include "core/update_rules.h"

namespace galvan {

// Into how many blocks a sum over rows is cut: each is summed by itself, then block after block.
inline int64_t row_blocks(int64_t rows) {
  return rows < 1024 ? (rows + 15) / 16 : rows < 4096 ? 64 : std::min<int64_t>(rows / 64, 256);
}

struct CrossEntropyRows {
  const int32_t* targets;  // [R]
  int64_t rows, classes;
  int64_t ignore_index;
  double label_smoothing;
};

// y = (s - mean) rstd weight + bias with s = x + residual. What is null is left out: weight, bias; residual
// and sum; mean, which makes it an RMS norm.
template <class T>
struct NormForward {
  const T* x;         // [R, C]
  const T* residual;  // [R, C]
  const T* weight;    // [C]
  const T* bias;      // [C]
  T* sum;             // [R, C]: s
  T* y;               // [R, C]
  Acc<T>* mean;       // [R]
  Acc<T>* rstd;       // [R]
  int64_t rows, columns;
  double eps;
};

// Null: weight, mean as above; dsum when s has no other gradient; dx, dweight, dbias when not wanted.
template <class T>
struct NormBackward {
  const T* dsum;    // [R, C]: gradient of s from elsewhere
  const T* dy;      // [R, C]
  const T* s;       // [R, C]
  const T* weight;  // [C]
  const Acc<T>* mean;
  const Acc<T>* rstd;
  T* dx;  // [R, C]: of x and of residual
  T* dweight;
  T* dbias;
  Acc<T>* partial;  // scratch: row_blocks(R) C for each of dweight and dbias that is wanted
  int64_t rows, columns;
};

// A flat block of memory cut into segments, one a parameter, and those into pieces, the unit of parallel work:
// elements [begin, begin + size) of the block, `begin` being a multiple of 64.
struct UpdatePiece {
  int64_t begin;
  int32_t segment;
  int32_t size;
};
struct UpdatePieces {
  const UpdatePiece* pieces;  // [count]
  int64_t count;
  const int32_t* has_grad;  // by segment; one without is left alone
};

// What a step is decided on, and what that changes. Everything is in the device's memory but for the settings.
struct StepInputs {
  StepSettings settings;
  const double* partials;  // [pieces]: their sums of squares
  int64_t pieces;
  const SegmentOptions* segments;  // [count]
  const int32_t* has_grad;         // [count]
  int32_t* updates;                // [count]: how often each has been updated
  int64_t count;
  StepControl* control;
  StepRecord* records;  // [kStepRecords]
};

// The blocks that an update goes through together, aligned to 16 bytes. `master` holds the weights the update
// works on; where T is that type it is `weight`. A state that the rule does not have is null.
template <class T>
struct UpdateBlocks {
  T* weight;
  Acc<T>* master;
  const T* grad;
  Acc<T>* state0;  // momentum buffer, or first moment
  Acc<T>* state1;  // second moment
};

#define Context Cpu
#include "core/kernel_list.h"
#undef Context

#ifdef GALVAN_CUDA
#define Context Cuda
#include "core/kernel_list.h"
#undef Context
#endif

}  // namespace galvan
