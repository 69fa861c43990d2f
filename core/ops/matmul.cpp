// Matrix products with leading dimensions that broadcast.
//   y = a b        da = dy b^T        db = a^T dy
// Matrices that are stored transposed, or as rows some way apart, are read as they lie.
#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

// The last two dimensions of a tensor as gemm reads them.
struct Matrix {
  Tensor x;
  int64_t leading = 0;
  bool transposed = false;
};

Matrix matrix_of(const Tensor& x) {
  const int64_t rows = x.size(-2), columns = x.size(-1);
  const int64_t row_step = x.strides()[x.rank() - 2], column_step = x.strides()[x.rank() - 1];
  if ((column_step == 1 || columns <= 1) && (row_step >= columns || rows <= 1))
    return {x, std::max(row_step, columns), false};
  if ((row_step == 1 || rows <= 1) && (column_step >= rows || columns <= 1))
    return {x, std::max(column_step, rows), true};
  return {dense(x), columns, false};
}

// The strides of x's leading dimensions broadcast to `lead`.
Strides leading_strides(const Tensor& x, const Shape& lead) {
  Strides strides = lead;
  const int added = lead.rank() - (x.rank() - 2);
  for (int i = 0; i < lead.rank(); ++i)
    strides[i] = i < added || x.shape()[i - added] == 1 ? 0 : x.strides()[i - added];
  return strides;
}

Shape leading_shape(const Tensor& x) {
  Shape lead = x.shape();
  lead.erase(x.rank() - 1);
  lead.erase(x.rank() - 2);
  return lead;
}

// y = a b; y is dense.
void multiply(const Tensor& a_in, const Tensor& b_in, const Tensor& y) {
  const Matrix a = matrix_of(a_in), b = matrix_of(b_in);
  const Shape lead = leading_shape(y);
  const Strides a_steps = leading_strides(a.x, lead), b_steps = leading_strides(b.x, lead);
  const Strides y_steps = leading_strides(y, lead);
  // The innermost leading dimensions through which all three step evenly are gemm's batch.
  int outer = lead.rank();
  int64_t batch = 1, a_batch = 0, b_batch = 0, y_batch = 0;
  for (; outer > 0; --outer) {
    const int dim = outer - 1;
    if (lead[dim] == 1) continue;
    if (batch == 1) {
      a_batch = a_steps[dim], b_batch = b_steps[dim], y_batch = y_steps[dim];
    } else if (a_steps[dim] != a_batch * batch || b_steps[dim] != b_batch * batch) {
      break;
    }
    batch *= lead[dim];
  }
  int64_t repeats = 1;
  for (int dim = 0; dim < outer; ++dim) repeats *= lead[dim];
  if (y.numel() == 0) return;
  dispatch<"matmul">(y, [&]<class T>(auto on) {
    profile::computes(2.0 * static_cast<double>(y.numel()) * static_cast<double>(a_in.size(-1)));
    for (int64_t i = 0; i < repeats; ++i) {
      int64_t rest = i, a_offset = 0, b_offset = 0, y_offset = 0;
      for (int dim = outer - 1; dim >= 0; --dim) {
        const int64_t index = rest % lead[dim];
        rest /= lead[dim];
        a_offset += index * a_steps[dim];
        b_offset += index * b_steps[dim];
        y_offset += index * y_steps[dim];
      }
      gemm(on, Gemm<T, T>{.m = y.size(-2),
                          .n = y.size(-1),
                          .k = a_in.size(-1),
                          .a = a.x.data<T>() + a_offset,
                          .lda = a.leading,
                          .transpose_a = a.transposed,
                          .b = b.x.data<T>() + b_offset,
                          .ldb = b.leading,
                          .transpose_b = b.transposed,
                          .c = y.data<T>() + y_offset,
                          .ldc = y.size(-1),
                          .batch = batch,
                          .batch_stride_a = a_batch,
                          .batch_stride_b = b_batch,
                          .batch_stride_c = y_batch});
    }
  });
}

Tensor swapped(const Tensor& x, bool swap) { return swap ? x.detach().transpose(-1, -2) : x.detach(); }

// The gradient of an operand from the two matrices whose product it is, summed where the operand was
// broadcast. Products of rows that share one [in, out] matrix are one product.
Tensor operand_gradient(const Tensor& a, const Tensor& b, const Shape& shape) {
  if (shape.rank() == 2 && a.rank() > 2 && a.rank() == b.rank() && a.shape()[0] > 0) {
    const Tensor tall_a = a.transpose(-1, -2), tall_b = b;
    return matmul(tall_a.reshape({-1, a.size(-2)}), tall_b.reshape({-1, b.size(-1)}), {.transpose_a = true});
  }
  return sum_to(matmul(a, b), shape);
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, MatmulOptions options) {
  check_same_kind("matmul", a, b);
  check(a.rank() >= 2 && b.rank() >= 2, "matmul: needs at least 2 dimensions each, got ", a.shape(), " @ ",
        b.shape());
  const Tensor left = swapped(a, options.transpose_a), right = swapped(b, options.transpose_b);
  check(left.size(-1) == right.size(-2), "matmul: inner dimensions differ, ", left.shape(), " @ ",
        right.shape());
  Shape shape = broadcast("matmul", leading_shape(left), leading_shape(right));
  shape.push_back(left.size(-2));
  shape.push_back(right.size(-1));
  Tensor y = Tensor::empty(shape, {.dtype = a.dtype(), .device = a.device()});
  multiply(left, right, y);

  return record(
      "matmul", y, {a, b}, [a = save(a), b = save(b), options](const Tensor& dy, Needs needs) -> Grads {
        const Tensor left = swapped(a, options.transpose_a), right = swapped(b, options.transpose_b);
        const Tensor left_t = left.transpose(-1, -2), right_t = right.transpose(-1, -2);
        Grads grads(2);
        if (needs[0])
          grads[0] = options.transpose_a ? operand_gradient(right, dy.transpose(-1, -2), a->shape())
                                         : operand_gradient(dy, right_t, a->shape());
        if (needs[1])
          grads[1] = options.transpose_b ? operand_gradient(dy.transpose(-1, -2), left, b->shape())
                                         : operand_gradient(left_t, dy, b->shape());
        return grads;
      });
}

}  // namespace galvan
