// Every kernel, declared once for each execution context. Ops (core/ops) check and allocate; kernels only
// compute, on dense row-major data unless strides are named. The CPU's are defined in core/cpu, one file a
// family; CUDA's, likewise, in cuda. What they take is here, they themselves are listed in core/kernel_list.h.
//
// R rows and C columns; an element type T is accumulated in Acc<T>.
#pragma once

#include "core/dispatch.h"
#include "core/gemm_layout.h"
#include "core/head_layout.h"
#include "core/sampling_rule.h"

namespace galvan {

// Into how many blocks a sum over rows is cut: each is summed by itself, then block after block.
inline int64_t row_blocks(int64_t rows) { return rows < 1024 ? (rows + 15) / 16 : 64; }

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

// A piece of the flat parameter arena: n weights with their gradient and state. `master` holds the weight the
// update works on; where T is that type it is the weight itself.
template <class T>
struct UpdatePiece {
  T* weight;
  Acc<T>* master;
  const T* grad;
  Acc<T>* state0;  // momentum buffer, or first moment
  Acc<T>* state1;  // second moment
  int64_t n;
};

// What one segment's update needs, worked out once a step: by parameter, so that groups (and later replicas)
// may differ.
struct SgdCoefficients {
  double grad_scale;  // clipping, and -1 to maximize
  double lr;
  double momentum;  // 0 at a parameter's first update
  double gain;      // 1 - dampening, 1 at the first update
  double weight_decay;
  double nesterov;  // the momentum once more in the direction, or 0
  bool has_momentum;
  bool lr_inside;  // Caffe's form: the buffer holds lr g
};
struct AdamCoefficients {
  double grad_scale;
  double decay;         // AdamW: the weight is multiplied by it
  double weight_decay;  // Adam: added to the gradient
  double beta1, beta2;
  double step_size;     // lr / (1 - beta1^t)
  double inverse_root;  // 1 / sqrt(1 - beta2^t)
  double eps;
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
