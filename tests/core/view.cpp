// Views against a plain model: an index into the base for every element.
#include <doctest/doctest.h>

#include <numeric>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "core/ops.h"

using namespace galvan;

namespace {

Tensor counting(const Shape& shape) {
  std::vector<double> values(shape.numel());
  std::iota(values.begin(), values.end(), 0.0);
  return Tensor::from(values, shape);
}

bool shares_memory(const Tensor& a, const Tensor& b) { return a.impl()->storage == b.impl()->storage; }

}  // namespace

TEST_CASE("views select, reorder and repeat elements without a copy") {
  const Tensor x = counting({2, 3});
  const std::vector<std::pair<Tensor, std::vector<double>>> views = {
      {x.transpose(0, 1), {0, 3, 1, 4, 2, 5}},
      {x.permute({-1, 0}), {0, 3, 1, 4, 2, 5}},
      {x.slice(1, 0, 3, 2), {0, 2, 3, 5}},
      {x.slice(1, -2, 3), {1, 2, 4, 5}},
      {x.slice(0, 1, 1), {}},
      {x.select(0, -1), {3, 4, 5}},
      {x.select(1, 1), {1, 4}},
      {x.select(1, 1).unsqueeze(1).expand({2, 2}), {1, 1, 4, 4}},
      {x.unsqueeze(0).expand({2, 2, 3}), {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}},
      {x.unsqueeze(-1).squeeze(2), {0, 1, 2, 3, 4, 5}},
      {x.reshape({3, -1}), {0, 1, 2, 3, 4, 5}},
  };
  for (const auto& [view, values] : views) {
    CHECK(shares_memory(view, x));
    CHECK(view.to_vector() == values);
    CHECK(view.clone().to_vector() == values);
    CHECK(view.contiguous().is_contiguous());
  }
}

TEST_CASE("reshape of a view copies only where strides cannot say it") {
  const Tensor x = counting({4, 5, 6});
  const std::vector<Tensor> views = {
      x,
      x.slice(2, 0, 3),
      x.slice(1, 0, 4),
      x.slice(1, 0, 5, 2),
      x.transpose(0, 1),
      x.transpose(1, 2),
      x.permute({2, 0, 1}),
      x.slice(2, 0, 3).unsqueeze(1),
      x.slice(1, 1, 3).unsqueeze(2).unsqueeze(0),
      x.select(1, 2).unsqueeze(1).expand({4, 3, 6}),
      x.slice(0, 1, 2),
      x.slice(0, 1, 1),
  };
  const auto cuts = [](int64_t n) {
    std::vector<Shape> shapes = {{n}, {1, n}, {n, 1, 1}};
    for (int64_t a : {2, 3, 4, 5, 6, 8, 12})
      if (n % a == 0) {
        shapes.push_back({a, n / a});
        shapes.push_back({n / a, 1, a});
        for (int64_t b : {2, 3, 4, 5})
          if (n / a % b == 0) shapes.push_back({a, b, n / a / b});
      }
    return shapes;
  };
  for (const Tensor& view : views) {
    std::vector<Shape> shapes = cuts(view.numel());
    shapes.push_back(view.shape());
    for (const Shape& shape : shapes) {
      const Tensor y = view.reshape(shape);
      CHECK(y.shape() == shape);
      CHECK(y.to_vector() == view.to_vector());
    }
  }
  CHECK(shares_memory(x.slice(2, 0, 3).reshape({20, 3}), x));
  CHECK(shares_memory(x.slice(1, 0, 4).reshape({4, 24}), x));
  CHECK(shares_memory(x.slice(1, 0, 4).reshape({2, 2, 4, 3, 2}), x));
  CHECK(shares_memory(x.transpose(0, 1).reshape({5, 2, 2, 6}), x));
  CHECK_FALSE(shares_memory(x.slice(2, 0, 3).reshape({60}), x));
  CHECK_FALSE(shares_memory(x.transpose(0, 1).reshape({20, 6}), x));
}

TEST_CASE("reshape of broadcast and sliced dimensions beside dimensions of size 1") {
  const Tensor x = Tensor::arange(6).reshape({1, 1, 1, 2, 3});
  const Tensor repeated = x.expand({1, 1, 2, 2, 3}).reshape({1, 2, 2, 3});
  CHECK(repeated.to_vector() == std::vector<double>{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5});
  const Tensor sliced = Tensor::arange(24).reshape({4, 1, 6}).slice(0, 0, 4, 2).slice(2, 1, 3);
  CHECK(sliced.reshape({4}).to_vector() == std::vector<double>{1, 2, 13, 14});
  CHECK(sliced.reshape({1, 2, 1, 2}).to_vector() == std::vector<double>{1, 2, 13, 14});
}

TEST_CASE("gradients flow through views") {
  const Tensor x = Tensor::uniform({4, 3, 5}, {.tensor = {.dtype = DType::f64}});
  using F = std::function<Tensor(const Tensor&)>;
  for (const F& f : std::vector<F>{
           [](const Tensor& t) { return t.transpose(0, 2); },
           [](const Tensor& t) {
             return t.permute({1, 2, 0}).reshape({5, 12});
           },
           [](const Tensor& t) { return t.slice(2, 1, 5, 2); },
           [](const Tensor& t) { return add(t.select(1, 0), t.select(1, -1)); },
           [](const Tensor& t) {
             return t.slice(0, 0, 1).expand({2, 7, 3, 5});
           },
           [](const Tensor& t) { return t.unsqueeze(1).squeeze(1); },
           [](const Tensor& t) { return t.reshape({-1}); },
           [](const Tensor& t) { return t.contiguous(); },
           [](const Tensor& t) { return t.transpose(0, 1).contiguous(); },
       })
    CHECK_NOTHROW(
        gradcheck([&](std::span<const Tensor> in) { return std::vector{mul(f(in[0]), f(in[0]))}; }, {x}));
}

TEST_CASE("split gives views of a size, the last one smaller") {
  const Tensor x = counting({2, 7});
  const std::vector<Tensor> pieces = split(x, 3, 1);
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[0].to_vector() == std::vector<double>{0, 1, 2, 7, 8, 9});
  CHECK(pieces[2].to_vector() == std::vector<double>{6, 13});
  CHECK(shares_memory(pieces[1], x));
}

TEST_CASE("views say what does not fit") {
  const Tensor x = counting({2, 3});
  CHECK_THROWS_WITH_AS(x.reshape({4}), "reshape: cannot make [4] of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(x.reshape({-1, 4}), "reshape: cannot make [-1, 4] of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(x.reshape({-1, -1}), "reshape: cannot make [-1, -1] of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(x.permute({0}), "permute: 1 dimensions given for shape [2, 3]", Error);
  CHECK_THROWS_WITH_AS(x.permute({0, 0}), "permute: dimension 0 is named twice", Error);
  CHECK_THROWS_WITH_AS(x.transpose(0, 2), "transpose: dimension 2 is out of range for 2 dimensions", Error);
  CHECK_THROWS_WITH_AS(x.slice(1, 2, 1), "slice: 2:1:1 does not fit dimension 1 of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(x.slice(1, 0, 4), "slice: 0:4:1 does not fit dimension 1 of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(x.slice(1, 0, 3, 0), "slice: 0:3:0 does not fit dimension 1 of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(x.select(0, 2), "select: index 2 is out of range for dimension 0 of [2, 3]", Error);
  CHECK_THROWS_WITH_AS(x.expand({3, 3}), "expand: shapes [2, 3] and [3, 3] do not broadcast", Error);
  CHECK_THROWS_WITH_AS(x.expand({3}), "expand: shape [2, 3] does not broadcast to [3]", Error);
  CHECK_THROWS_WITH_AS(x.squeeze(0), "squeeze: dimension 0 of [2, 3] is not 1", Error);
  CHECK_THROWS_WITH_AS(split(x, 0), "split: size 0 is not positive", Error);
  CHECK_THROWS_WITH_AS(split(x, {1, 1}, -1), "split: sizes add up to 2, not 3", Error);
  CHECK_THROWS_WITH_AS(split(x, {2, 2}, 1), "split: a size of 2 from 2 on does not fit dimension 1 of [2, 3]",
                       Error);
  CHECK_THROWS_WITH_AS(Tensor().reshape({1}), "reshape: got an undefined tensor", Error);
}
