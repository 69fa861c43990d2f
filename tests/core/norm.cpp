// layer_norm and rms_norm, alone and behind a residual.
#include "core/parallel.h"
#include "golden.h"
#include "leaves.h"

using namespace galvan;

TEST_CASE("norms equal PyTorch's, forward and backward") {
  for (const char* op : {"layer_norm", "rms_norm"}) {
    for (const GoldenCase& c : golden_cases(op)) {
      for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
        // bf16 has 8 bits: not enough for a mean of 64 or entries of 1e4.
        if (dtype == DType::bf16 && (c.name.ends_with("large mean") || c.name.ends_with("zero row")))
          continue;
        CAPTURE(c.name);
        CAPTURE(name(dtype));
        std::vector<Tensor> in;
        for (const GoldenInput& input : c.inputs)
          in.push_back(leaf(input.values, shape_of(input.shape), dtype));
        const double eps = c.attributes["eps"];
        const Tensor y = in.size() == 3 ? layer_norm(in[0], in[1], in[2], eps) : rms_norm(in[0], in[1], eps);
        check_close(y, c.outputs[0].values, tolerance_of(dtype));
        y.backward(Tensor::from(c.outputs[0].upstream, y.shape(), {.dtype = dtype}));
        // A row without spread has gradients as large as 1 / sqrt(eps).
        const double steep = c.name.ends_with("row") || c.name.ends_with("x1") ? 1 / std::sqrt(eps) : 1;
        for (size_t i = 0; i < in.size(); ++i)
          check_close(in[i].grad(), c.inputs[i].grad, tolerance_of(dtype) * (i == 0 ? steep : 1));
      }
    }
  }
}

TEST_CASE("a norm behind a residual equals sum and norm, in values and gradients") {
  for (const DType dtype : {DType::f64, DType::f32}) {
    for (const Shape& shape : {Shape{3, 5}, Shape{2, 9, 33}, Shape{1100, 7}, Shape{4, 1}, Shape{31}}) {
      const int64_t n = shape.numel(), columns = shape.back();
      const auto make = [&](uint32_t seed) { return leaf(golden_input(n, seed), shape, dtype); };
      const auto make_row = [&](uint32_t seed) {
        return leaf(golden_input(columns, seed), {columns}, dtype);
      };
      for (const bool layer : {true, false}) {
        const Tensor x1 = make(1), r1 = make(2), w1 = make_row(3), b1 = make_row(4);
        const Tensor x2 = make(1), r2 = make(2), w2 = make_row(3), b2 = make_row(4);
        const Tensor dsum = make(5).detach(), dy = make(6).detach();
        const AddNorm fused = layer ? add_layer_norm(x1, r1, w1, b1) : add_rms_norm(x1, r1, w1);
        const Tensor sum = add(x2, r2);
        const Tensor normed = layer ? layer_norm(sum, w2, b2) : rms_norm(sum, w2);
        CHECK(fused.sum.to_vector() == sum.to_vector());
        CHECK(fused.normed.to_vector() == normed.to_vector());
        const Tensor ups[] = {dsum, dy};
        const Tensor outs1[] = {fused.sum, fused.normed}, outs2[] = {sum, normed};
        backward(outs1, ups);
        backward(outs2, ups);
        // A row of one number has gradients of rounding noise times 1 / sqrt(eps).
        const double tolerance = tolerance_of(dtype) * (columns == 1 ? 300 : 10);
        check_close(x1.grad(), x2.grad().to_vector(), tolerance);
        check_close(r1.grad(), x1.grad().to_vector(), 0);
        check_close(w1.grad(), w2.grad().to_vector(), tolerance);
        if (layer) check_close(b1.grad(), b2.grad().to_vector(), tolerance);
      }
    }
  }
}

TEST_CASE("a norm behind a residual, with one output used") {
  const Tensor x = leaf(golden_input(15, 1), {3, 5}), r = leaf(golden_input(15, 2), {3, 5});
  const Tensor w = leaf(golden_input(5, 3), {5});
  const std::vector<double> dy = golden_input(15, 4);
  add_rms_norm(x, r, w).sum.backward(Tensor::from(dy, {3, 5}));
  check_close(x.grad(), dy, 0);
  check_close(r.grad(), dy, 0);
  check_close(w.grad(), std::vector<double>(5, 0.0), 0);

  const Tensor x2 = leaf(golden_input(15, 1), {3, 5});
  const Tensor once = grad(std::vector{add_rms_norm(x2, r, w).normed}, std::vector{x2},
                           std::vector{Tensor::from(dy, {3, 5})})[0];
  const Tensor twice =
      grad(std::vector{rms_norm(add(x2, r), w)}, std::vector{x2}, std::vector{Tensor::from(dy, {3, 5})})[0];
  check_close(once, twice.to_vector(), 1e-12);
}

TEST_CASE("norms without weight or bias, of views, and of nothing") {
  const Tensor x = leaf(golden_input(35, 1), {5, 7});
  const Tensor plain = layer_norm(x, {}, {});
  check_close(plain, layer_norm(x, Tensor::ones({7}, {.dtype = DType::f64}), {}).to_vector(), 0);
  const Tensor bias = leaf(golden_input(7, 2), {7});
  check_close(layer_norm(x, {}, bias), add(plain, bias).to_vector(), 1e-15);
  layer_norm(x, {}, bias).backward(Tensor::ones({5, 7}, {.dtype = DType::f64}));
  check_close(bias.grad(), std::vector<double>(7, 5.0), 0);

  const Tensor turned = x.transpose(0, 1);
  check_close(layer_norm(turned, {}, {}), layer_norm(turned.contiguous(), {}, {}).to_vector(), 0);

  for (const Shape& empty : {Shape{0, 7}, Shape{3, 0}}) {
    const Tensor none = Tensor::empty(empty).set_requires_grad();
    const Tensor w = Tensor::ones({empty.back()}).set_requires_grad();
    const Tensor y = layer_norm(none, w, w);
    CHECK(y.shape() == empty);
    y.backward(Tensor::empty(empty));
    CHECK(w.grad().to_vector() == std::vector<double>(empty.back(), 0.0));
  }
}

TEST_CASE("norms give the same bits on any number of threads") {
  const int before = threads();
  const Tensor x = Tensor::normal({1037, 131}, {.seed = 1}).set_requires_grad();
  const Tensor w = Tensor::normal({131}, {.seed = 2}).set_requires_grad();
  const Tensor dy = Tensor::normal({1037, 131}, {.seed = 3});
  std::vector<std::vector<double>> first;
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    const Tensor y = layer_norm(x, w, w);
    const Grads grads = grad(std::vector{y}, std::vector{x, w}, std::vector{dy});
    const std::vector<std::vector<double>> now = {y.to_vector(), grads[0].to_vector(), grads[1].to_vector()};
    if (first.empty()) first = now;
    CHECK(now == first);
  }
  set_threads(before);
}

TEST_CASE("a norm's weight gradient goes straight to its place") {
  const Tensor x = leaf(golden_input(15, 1), {3, 5}), w = leaf(golden_input(5, 3), {5});
  w.impl()->grad_buffer = Tensor::full({5}, 77, {.dtype = DType::f64});
  rms_norm(x, w).backward(Tensor::ones({3, 5}, {.dtype = DType::f64}));
  CHECK(w.grad().impl() == w.impl()->grad_buffer.impl());
  const std::vector<double> once = w.grad().to_vector();
  rms_norm(x, w).backward(Tensor::ones({3, 5}, {.dtype = DType::f64}));
  for (size_t i = 0; i < 5; ++i) CHECK(w.grad().to_vector()[i] == 2 * once[i]);
}

TEST_CASE("a norm says what is wrong with its input") {
  const Tensor x = Tensor::ones({2, 3});
  CHECK_THROWS_WITH_AS(layer_norm(Tensor::ones({}), {}, {}),
                       "layer_norm: needs at least 1 dimension, got a scalar", Error);
  CHECK_THROWS_WITH_AS(rms_norm(x, Tensor::ones({2})),
                       "rms_norm: weight [2] does not fit the last dimension of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(layer_norm(x, {}, Tensor::ones({3, 1})),
                       "layer_norm: bias [3, 1] does not fit the last dimension of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(rms_norm(x, Tensor::ones({3}, {.dtype = DType::f64})),
                       "rms_norm: dtypes differ, f32 and f64", Error);
  CHECK_THROWS_WITH_AS(add_rms_norm(x, Tensor::ones({3}), {}), "add_rms_norm: shapes differ, [2, 3] and [3]",
                       Error);
  CHECK_THROWS_WITH_AS(rms_norm(x, {}, -1), "rms_norm: eps must not be negative, got -1", Error);
  CHECK_THROWS_WITH_AS(rms_norm(Tensor::arange(3), {}), "rms_norm: takes f32, f64, bf16, not i32", Error);
}
