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

// --- pointwise (F: a struct of core/pointwise.h)
// ---------------------------------------------------------------------------------------------------
template <class F, class T>
void unary(Cpu, F f, const T* x, T* y, int64_t n);
// y dense, of `shape`, to which a's and b's strides are broadcast
template <class F, class T, class Y>
void binary(Cpu, F f, const T* a, const Strides& a_strides, const T* b, const Strides& b_strides, Y* y,
            const Shape& shape);

// --- reductions of x [outer, length, inner] to y [outer, inner]
// --------------------------------------------------------------------------------------------------
template <class T>
void sum(Cpu, const T* x, T* y, int64_t outer, int64_t length, int64_t inner,
         double scale);  // y = scale sum x

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
