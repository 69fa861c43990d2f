// The fused ops against the compositions they stand for.
#include "core/parallel.h"
#include "golden.h"
#include "leaves.h"

using namespace galvan;

namespace {

double fused_tolerance(DType dtype) {
  return dtype == DType::f64 ? 1e-13 : dtype == DType::f32 ? 3e-6 : 0.05;
}

}  // namespace

TEST_CASE("bias_gelu equals gelu(x + bias), in values and gradients") {
  for (const Gelu form : {Gelu::tanh, Gelu::exact}) {
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      for (const Shape& shape :
           {Shape{3, 5}, Shape{2, 9, 33}, Shape{37, 1}, Shape{31}, Shape{3, 1025}, Shape{0, 3}}) {
        const std::vector<double> values = golden_input(shape.numel(), 1, 5.0);
        const std::vector<double> offsets = golden_input(shape.back(), 2);
        const Tensor x = leaf(values, shape, dtype), b = leaf(offsets, {shape.back()}, dtype);
        const Tensor x2 = leaf(values, shape, dtype), b2 = leaf(offsets, {shape.back()}, dtype);
        const Tensor dy = Tensor::from(golden_input(shape.numel(), 3), shape, {.dtype = dtype});
        const Tensor y = bias_gelu(x, b, form), twin = gelu(x2 + b2, form);
        y.backward(dy);
        twin.backward(dy);
        check_close(y, twin.to_vector(), fused_tolerance(dtype));
        check_close(x.grad(), x2.grad().to_vector(), fused_tolerance(dtype));
        check_close(b.grad(), b2.grad().to_vector(), 4 * fused_tolerance(dtype));
      }
    }
  }
}

TEST_CASE("silu_mul equals silu(gate) * up, in values and gradients") {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    for (const Shape& shape : {Shape{}, Shape{3, 5}, Shape{9001}, Shape{0, 3}}) {
      const std::vector<double> gates = golden_input(shape.numel(), 1, 8.0),
                                ups = golden_input(shape.numel(), 2);
      const Tensor g = leaf(gates, shape, dtype), u = leaf(ups, shape, dtype);
      const Tensor g2 = leaf(gates, shape, dtype), u2 = leaf(ups, shape, dtype);
      const Tensor dy = Tensor::from(golden_input(shape.numel(), 3), shape, {.dtype = dtype});
      const Tensor y = silu_mul(g, u), twin = silu(g2) * u2;
      y.backward(dy);
      twin.backward(dy);
      check_close(y, twin.to_vector(), fused_tolerance(dtype));
      check_close(g.grad(), g2.grad().to_vector(), fused_tolerance(dtype));
      check_close(u.grad(), u2.grad().to_vector(), fused_tolerance(dtype));
    }
  }
}

TEST_CASE("a bias's gradient goes straight to its place, in the same bits on any number of threads") {
  const int before = threads();
  const Tensor x = Tensor::normal({1037, 131}, {.seed = 1}), dy = Tensor::normal({1037, 131}, {.seed = 2});
  const Tensor b = Tensor::normal({131}, {.seed = 3}).set_requires_grad();
  b.impl()->grad_buffer = Tensor::full({131}, 77);
  std::vector<double> first;
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    b.set_grad({});
    bias_gelu(x, b).backward(dy);
    CHECK(b.grad().impl() == b.impl()->grad_buffer.impl());
    if (first.empty()) first = b.grad().to_vector();
    CHECK(b.grad().to_vector() == first);
  }
  set_threads(before);
}

TEST_CASE("a tied head's gradient and the embedding's meet in the table's place") {
  const auto gradient = [](bool with_place) {
    const Tensor table = Tensor::normal({19, 8}, {.seed = 1}).set_requires_grad(),
                 positions = Tensor::normal({6, 8}, {.seed = 2}).set_requires_grad();
    const Tensor tokens = Tensor::from(golden_integers(2 * 5, 3, 19), {2, 5});
    if (with_place) {
      table.impl()->grad_buffer = Tensor::full({19, 8}, 77);
      positions.impl()->grad_buffer = Tensor::full({6, 8}, 77);
    }
    sum(linear(embedding_at(table, positions, tokens), table) * 0.25).backward();
    if (with_place) CHECK(table.grad().impl() == table.impl()->grad_buffer.impl());
    return std::vector{table.grad().to_vector(), positions.grad().to_vector()};
  };
  CHECK(gradient(true) == gradient(false));
}

TEST_CASE("gelu_mlp says what is wrong with its input") {
  const Tensor x = Tensor::ones({2, 3}), up = Tensor::ones({5, 3}), up_bias = Tensor::ones({5}),
               down = Tensor::ones({4, 5}), down_bias = Tensor::ones({4});
  CHECK_NOTHROW(gelu_mlp(x, up, up_bias, down, down_bias));
  CHECK_THROWS_WITH_AS(gelu_mlp(x, down, up_bias, down, down_bias),
                       "gelu_mlp: inner dimensions differ, [2, 3] @ [4, 5] transposed @ [4, 5] transposed",
                       Error);
  CHECK_THROWS_WITH_AS(gelu_mlp(x, up, down_bias, down, down_bias),
                       "gelu_mlp: biases [4] and [4] do not fit weights [5, 3] and [4, 5]", Error);
  CHECK_THROWS_WITH_AS(gelu_mlp(x, up_bias, up_bias, down, down_bias),
                       "gelu_mlp: weights must be [out, in], got [5] and [4, 5]", Error);
  CHECK_THROWS_WITH_AS(gelu_mlp(x, up, {}, down, down_bias), "gelu_mlp: got an undefined tensor", Error);
}

TEST_CASE("a transformer's branches do without biases") {
  const Tensor x = Tensor::normal({2, 3, 4}, {.seed = 1, .tensor = {.dtype = DType::f64}}),
               residual = Tensor::normal({2, 3, 4}, {.seed = 2, .tensor = {.dtype = DType::f64}});
  const auto weight = [](int64_t out, int64_t in, uint64_t seed) {
    return Tensor::normal({out, in}, {.seed = seed, .tensor = {.dtype = DType::f64}});
  };
  const Tensor qkv = weight(12, 4, 3), out = weight(4, 4, 4), up = weight(7, 4, 5), down = weight(4, 7, 6),
               gain = Tensor::normal({4}, {.seed = 7, .tensor = {.dtype = DType::f64}});
  const AddNorm attention = attention_branch(x, residual, {qkv, {}}, 2, {out, {}}, {gain, {}, 0.5});
  const Tensor sum = linear(packed_attention(linear(x, qkv), 2, 2), out) + residual;
  check_close(attention.sum, sum.to_vector(), 1e-13);
  check_close(attention.normed, layer_norm(sum, gain, {}, 0.5).to_vector(), 1e-13);
  const AddNorm mlp = mlp_branch(x, residual, {up, {}}, {down, {}}, {gain, {}, 0.5});
  const Tensor other = linear(gelu(linear(x, up)), down) + residual;
  check_close(mlp.sum, other.to_vector(), 1e-13);
  check_close(mlp.normed, layer_norm(other, gain, {}, 0.5).to_vector(), 1e-13);
}

TEST_CASE("a transformer's branches say what is wrong with their input") {
  const Tensor x = Tensor::ones({2, 3, 4}), qkv = Tensor::ones({12, 4}), out = Tensor::ones({4, 4}),
               up = Tensor::ones({7, 4}), down = Tensor::ones({4, 7}), gain = Tensor::ones({4});
  CHECK_NOTHROW(attention_branch(x, x, {qkv, {}}, 2, {out, {}}, {gain, {}}));
  CHECK_THROWS_WITH_AS(attention_branch(x, x, {out, {}}, 2, {out, {}}, {gain, {}}),
                       "attention_branch: first weight [4, 4] is not [12, 4] for x [2, 3, 4]", Error);
  CHECK_THROWS_WITH_AS(attention_branch(gain, gain, {qkv, {}}, 2, {out, {}}, {gain, {}}),
                       "attention_branch: x must be [B, T, C], got [4]", Error);
  CHECK_THROWS_WITH_AS(attention_branch(x, x, {qkv, {}}, 3, {out, {}}, {gain, {}}),
                       "packed_attention: [2, 3, 12] is not [B, T, (3 + 2 3) D]", Error);
  CHECK_THROWS_WITH_AS(mlp_branch(x, x, {up, gain}, {down, {}}, {gain, {}}),
                       "mlp_branch: first bias [4] is not [7] for x [2, 3, 4]", Error);
  CHECK_THROWS_WITH_AS(mlp_branch(x, x, {up, {}}, {down, {}}, {gain, {}, -1}),
                       "mlp_branch: eps must not be negative, got -1", Error);
  CHECK_THROWS_WITH_AS(mlp_branch(x, x, {up, {}}, {out, {}}, {gain, {}}),
                       "mlp_branch: last weight [4, 4] is not [4, 7] for x [2, 3, 4]", Error);
  CHECK_THROWS_WITH_AS(mlp_branch(x, gain, {up, {}}, {down, {}}, {gain, {}}),
                       "mlp_branch: residual [4] is not [2, 3, 4] for x [2, 3, 4]", Error);
  CHECK_THROWS_WITH_AS(mlp_branch(x, x, {up, {}}, {down, {}}, {{}, {}}),
                       "mlp_branch: got an undefined tensor", Error);
}

TEST_CASE("linear_cross_entropy says what is wrong with its input") {
  const Tensor x = Tensor::ones({2, 3}), weight = Tensor::ones({5, 3}), targets = Tensor::arange(2);
  CHECK_NOTHROW(linear_cross_entropy(x, weight, targets));
  CHECK_THROWS_WITH_AS(linear_cross_entropy(x, Tensor::ones({5, 4}), targets),
                       "linear: inner dimensions differ, [2, 3] @ weight [5, 4] transposed", Error);
  CHECK_THROWS_WITH_AS(linear_cross_entropy(x, weight, Tensor::arange(3)),
                       "cross_entropy: targets [3] do not fit logits [2, 5]", Error);
  CHECK_THROWS_WITH_AS(linear_cross_entropy(x, weight, {}), "linear_cross_entropy: got an undefined tensor",
                       Error);
  CHECK_THROWS_WITH_AS(linear_cross_entropy(x, weight.to(DType::f64), targets),
                       "linear_cross_entropy: dtypes differ, f32 and f64", Error);
}

TEST_CASE("fused ops say what is wrong with their input") {
  const Tensor x = Tensor::ones({2, 3});
  CHECK_THROWS_WITH_AS(bias_gelu(x, Tensor::ones({2})),
                       "bias_gelu: bias [2] does not fit the last dimension of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(bias_gelu(x, Tensor::ones({3}, {.dtype = DType::f64})),
                       "bias_gelu: dtypes differ, f32 and f64", Error);
  CHECK_THROWS_WITH_AS(bias_gelu(x, {}), "bias_gelu: got an undefined tensor", Error);
  CHECK_THROWS_WITH_AS(bias_gelu(Tensor::ones({}), Tensor::ones({})),
                       "bias_gelu: needs at least 1 dimension, got a scalar", Error);
  CHECK_THROWS_WITH_AS(silu_mul(x, Tensor::ones({3})), "silu_mul: shapes differ, [2, 3] and [3]", Error);
  CHECK_THROWS_WITH_AS(silu_mul(Tensor::arange(3), Tensor::arange(3)),
                       "silu_mul: takes f32, f64, bf16, not i32", Error);
}
