// Every kernel, declared once for each execution context. Ops (core/ops) check and allocate; kernels only
// compute, on dense row-major data unless strides are named. The CPU's are defined in core/cpu, one file a
// family.
//
// R rows and C columns; an element type T is accumulated in Acc<T>.
#pragma once

#include "core/dispatch.h"

namespace galvan {

// --- copy: y = x, converted, both strided over one shape
// ---------------------------------------------------------
template <class From, class To>
void strided_copy(Cpu, const From* x, const Strides& x_strides, To* y, const Strides& y_strides,
                  const Shape& shape);
template <class T>
void fill(Cpu, T* y, const Strides& strides, const Shape& shape, T value);

// --- pointwise
// ---------------------------------------------------------------------------------------------------

// --- reductions
// --------------------------------------------------------------------------------------------------

// --- rows: softmax, norms, cross-entropy
// -------------------------------------------------------------------------

// --- matrix products
// ---------------------------------------------------------------------------------------------

// --- indexing
// ----------------------------------------------------------------------------------------------------

// --- transformer: dropout, rope, attention
// -----------------------------------------------------------------------

// --- optimizers
// --------------------------------------------------------------------------------------------------

}  // namespace galvan
