#include "core/autograd.h"

#include <doctest/doctest.h>

#include "core/allocator.h"
#include "core/ops.h"

using namespace galvan;

namespace {

Tensor leaf(std::vector<double> values) {
  const int64_t n = static_cast<int64_t>(values.size());
  return Tensor::from(values, {n}).set_requires_grad();
}

std::vector<double> grad_of(const Tensor& x) { return x.grad().to_vector(); }

using Values = std::vector<double>;

// An op with a backward of the test's own.
template <class F>
Tensor custom(const char* name, const Tensor& x, F backward) {
  return record(name, mul(x.detach(), 2.0), {x}, backward);
}

}  // namespace

TEST_CASE("gradients of a tensor used more than once add up") {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4});
  sum(add(add(a, b), a)).backward();
  CHECK(grad_of(a) == Values{2, 2});
  CHECK(grad_of(b) == Values{1, 1});
  sum(mul(a, a)).backward();  // on top of what is there
  CHECK(grad_of(a) == Values{4, 6});
  CHECK(grad_of(b) == Values{1, 1});
}

TEST_CASE("a diamond is walked once, its gradient whole before it goes on") {
  const Tensor x = leaf({3});
  int calls = 0;
  const Tensor y = custom("counted", x, [&](const Tensor& dy, Needs) -> Grads {
    ++calls;
    return {mul(dy, 2.0)};
  });
  Tensor z = y;
  for (int i = 0; i < 20; ++i) z = add(z, z);  // 2^20 paths
  sum(z).backward();
  CHECK(calls == 1);
  CHECK(grad_of(x) == Values{2.0 * (1 << 20)});
}

TEST_CASE("leaves never share memory for their gradients") {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4});
  const Tensor upstream = Tensor::ones({2}, {.dtype = DType::f64});
  add(a, b).backward(upstream);
  a.grad().fill_(9.0);
  CHECK(grad_of(b) == Values{1, 1});
  CHECK(upstream.to_vector() == Values{1, 1});
  sum(b).backward();  // an expanded scalar
  CHECK(b.grad().is_contiguous());
}

TEST_CASE("chains of 200,000 ops are walked and freed without recursion") {
  for (const bool walk : {true, false}) {
    const Tensor x = leaf({1});
    Tensor y = x;
    for (int i = 0; i < 200000; ++i) y = add(y, 1.0);
    if (walk) {
      y.backward();
      CHECK(grad_of(x) == Values{1});
    }
  }
}

TEST_CASE("graphs are freed: by backward, or when nobody holds them") {
  const Tensor x = leaf({1, 2, 3});
  std::weak_ptr<Node> node;
  std::weak_ptr<Storage> saved;
  const int64_t in_use = memory_stats().bytes_in_use;
  {
    const Tensor y = exp(mul(x, x));  // exp saves its own output
    node = y.impl()->node;
    saved = y.impl()->storage;
    CHECK_FALSE(node.expired());
  }
  CHECK(node.expired());
  CHECK(saved.expired());
  CHECK(memory_stats().bytes_in_use == in_use);

  const Tensor loss = sum(exp(mul(x, x)));
  saved = loss.impl()->node->edges[0].node->edges[0].node->edges[0].leaf->storage;
  const int64_t with_graph = memory_stats().bytes_in_use;
  loss.backward();
  x.set_grad(Tensor());
  CHECK(memory_stats().bytes_in_use < with_graph);  // what closures held is gone while loss lives
}

TEST_CASE("a graph is walked once, unless it is retained") {
  const Tensor x = leaf({2});
  const Tensor y = mul(x, x);
  const Tensor one = Tensor::ones({1}, {.dtype = DType::f64});
  backward(std::span(&y, 1), std::span(&one, 1), {.retain_graph = true});
  y.backward();
  CHECK(grad_of(x) == Values{8});
  CHECK_THROWS_WITH_AS(
      y.backward(), "backward: the graph of mul was freed by an earlier backward; pass retain_graph", Error);
  CHECK(grad_of(x) == Values{8});
}

TEST_CASE("nothing is recorded under NoGrad, after detach, or without a leaf that wants it") {
  const Tensor x = leaf({1, 2});
  {
    const NoGrad guard;
    CHECK_FALSE(grad_enabled());
    CHECK_FALSE(mul(x, x).requires_grad());
    const EnableGrad again;
    CHECK(mul(x, x).requires_grad());
  }
  CHECK(grad_enabled());
  CHECK_FALSE(mul(x.detach(), x.detach()).requires_grad());
  CHECK(mul(x.detach(), x).requires_grad());
  CHECK_FALSE(add(Tensor::ones({2}), 1.0).requires_grad());
  sum(mul(x.detach(), x)).backward();
  CHECK(grad_of(x) == Values{1, 2});
}

TEST_CASE("inputs that need no gradient cost none") {
  const Tensor x = leaf({1, 2});
  const Tensor constant = Tensor::ones({2}, {.dtype = DType::f64});
  bool needed = true;
  const Tensor y = record("partial", add(x.detach(), constant), {x, constant},
                          [&](const Tensor& dy, Needs needs) -> Grads {
                            needed = needs[1];
                            return {dy, Tensor()};
                          });
  sum(y).backward();
  CHECK_FALSE(needed);
  CHECK(grad_of(x) == Values{1, 1});
}

TEST_CASE("grad returns gradients and leaves the leaves alone") {
  const Tensor x = leaf({1, 2}), w = leaf({3, 4}), unused = leaf({5});
  const Tensor h = mul(x, w);
  const Tensor loss = sum(mul(h, h));
  const Grads grads = grad(std::vector{loss}, std::vector{x, h, unused, loss});
  CHECK(grads[0].to_vector() == Values{2 * 3 * 3, 4 * 4 * 4});
  CHECK(grads[1].to_vector() == Values{6, 16});
  CHECK_FALSE(grads[2].defined());
  CHECK(grads[3].item() == 1.0);
  CHECK_FALSE(x.grad().defined());
  CHECK_FALSE(w.grad().defined());
  CHECK_THROWS_WITH_AS(grad(std::vector{loss}, std::vector{x.detach()}),
                       "grad: input 0 does not require a gradient", Error);
  CHECK_THROWS_WITH_AS(grad(std::vector{loss}, std::vector<Tensor>{}), "grad: no inputs given", Error);
}

TEST_CASE("several outputs may be walked together") {
  const Tensor x = leaf({1, 2});
  const Tensor a = mul(x, 3.0), b = sum(mul(x, x));
  const Tensor da = Tensor::from(std::vector<double>{10, 100}, {2});
  backward(std::vector{a, b}, std::vector{da, Tensor()});
  CHECK(grad_of(x) == Values{30 + 2, 300 + 4});
}

TEST_CASE("hooks see the whole gradient and may change it") {
  const Tensor x = leaf({1, 2});
  const Tensor h = mul(x, 2.0);
  std::vector<Values> seen;
  h.register_hook([&](const Tensor& dy) {
    seen.push_back(dy.to_vector());
    return mul(dy, 10.0);
  });
  x.register_hook([&](const Tensor& dy) {
    seen.push_back(dy.to_vector());
    return add(dy, 1.0);
  });
  sum(add(h, h)).backward();
  CHECK(seen == std::vector<Values>{{2, 2}, {40, 40}});
  CHECK(grad_of(x) == Values{41, 41});

  const Tensor y = leaf({1});
  y.register_hook([](const Tensor&) { return Tensor(); });
  CHECK_THROWS_WITH_AS(y.backward(), "hook: returned something that does not fit the gradient [1]", Error);
  CHECK_THROWS_WITH_AS(y.detach().register_hook({}), "register_hook: the tensor does not require a gradient",
                       Error);
}

TEST_CASE("a backward that lies is named") {
  const Tensor x = leaf({1, 2});
  CHECK_THROWS_WITH_AS(
      sum(custom("liar", x, [](const Tensor& dy, Needs) -> Grads { return {sum(dy)}; })).backward(),
      "backward of liar returned a gradient f64 [] for input 0, which is f64 [2]", Error);
  CHECK_THROWS_WITH_AS(
      sum(custom("liar", x, [](const Tensor& dy, Needs) -> Grads { return {dy.to(DType::f32)}; })).backward(),
      "backward of liar returned a gradient f32 [2] for input 0, which is f64 [2]", Error);
  CHECK_THROWS_WITH_AS(sum(custom("liar", x,
                                  [](const Tensor& dy, Needs) -> Grads {
                                    return {dy, dy};
                                  }))
                           .backward(),
                       "backward of liar returned 2 gradients for 1 inputs", Error);
  CHECK_THROWS_WITH_AS(
      sum(custom("liar", x, [](const Tensor&, Needs) -> Grads { return {Tensor()}; })).backward(),
      "backward of liar returned no gradient for input 0", Error);
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("an op without a backward refuses to lose a gradient") {
  const Tensor x = leaf({1, 2});
  CHECK_THROWS_WITH_AS(record("rounding", x.detach().clone(), {x}, NoBackward()),
                       "rounding: has no backward, and an input requires a gradient", Error);
  CHECK_NOTHROW(record("rounding", x.detach().clone(), {x.detach()}, NoBackward()));
}

TEST_CASE("upstream gradients must fit") {
  const Tensor x = leaf({1, 2});
  const Tensor y = mul(x, 2.0);
  CHECK_THROWS_WITH_AS(y.backward(), "backward: a tensor of shape [2] needs an upstream gradient", Error);
  CHECK_THROWS_WITH_AS(y.backward(Tensor::ones({2})),
                       "backward: the upstream gradient is f32 [2], the output f64 [2]", Error);
  CHECK_THROWS_WITH_AS(y.backward(Tensor::ones({1}, {.dtype = DType::f64})),
                       "backward: the upstream gradient is f64 [1], the output f64 [2]", Error);
  CHECK_THROWS_WITH_AS(x.detach().backward(Tensor::ones({2})),
                       "backward: the tensor [2] does not require a gradient", Error);
  CHECK_THROWS_WITH_AS(Tensor().backward(), "backward: got an undefined tensor", Error);
}

TEST_CASE("writing to a saved tensor is noticed and named") {
  const Tensor x = leaf({1, 2});
  const Tensor w = Tensor::ones({2}, {.dtype = DType::f64});
  const Tensor y = sum(mul(x, w));
  w.slice(0, 0, 1).fill_(5.0);  // through a view
  CHECK_THROWS_WITH_AS(y.backward(),
                       "mul: its backward needs a tensor [2] that has been written in place since", Error);
  CHECK_THROWS_WITH_AS(
      x.fill_(1.0),
      "fill_: in-place write to a tensor that requires a gradient; do it under NoGrad or on detach()", Error);
  {
    const NoGrad guard;
    CHECK_NOTHROW(x.fill_(1.0));
  }
  const Tensor z = sum(add(x, w));  // saves nothing
  w.fill_(7.0);
  CHECK_NOTHROW(z.backward());
}

TEST_CASE("set_requires_grad and set_grad refuse what makes no sense") {
  const Tensor x = leaf({1, 2});
  Tensor y = mul(x, 2.0);
  CHECK_THROWS_WITH_AS(y.set_requires_grad(),
                       "set_requires_grad: the tensor [2] is not a leaf; detach() it first", Error);
  CHECK_THROWS_WITH_AS(x.set_grad(Tensor::ones({3})), "set_grad: the gradient does not fit [2]", Error);
  CHECK(x.is_leaf());
  CHECK_FALSE(y.is_leaf());
}

TEST_CASE("a leaf's gradient lives in its buffer") {
  const Tensor x = leaf({1, 2});
  const Tensor buffer = Tensor::full({2}, 99.0, {.dtype = DType::f64});
  x.impl()->grad_buffer = buffer;
  bool lent = false;
  const auto twice = [&](const Tensor& in) {
    return custom("twice", in, [&, in](const Tensor& dy, Needs needs) -> Grads {
      const Tensor place = needs.grad_place(0, kCpu);
      lent = place.impl() == in.impl()->grad_buffer.impl();
      place.copy_(mul(dy, 2.0));
      return {place};
    });
  };
  sum(twice(x)).backward();
  CHECK(lent);
  CHECK(x.grad().impl()->storage == buffer.impl()->storage);
  CHECK(buffer.to_vector() == Values{2, 2});
  sum(twice(x)).backward();  // there is a gradient now: it is added to
  CHECK_FALSE(lent);
  CHECK(buffer.to_vector() == Values{4, 4});
  x.set_grad(Tensor());
  sum(add(twice(x), twice(x))).backward();  // lent once, the other added
  CHECK(buffer.to_vector() == Values{4, 4});
  CHECK(x.grad().impl()->storage == buffer.impl()->storage);

  x.set_grad(Tensor());
  buffer.fill_(7.0);
  const Grads grads = grad(std::vector{sum(twice(x))}, std::vector{x});  // writes to no leaf
  CHECK_FALSE(lent);
  CHECK(grads[0].to_vector() == Values{2, 2});
  CHECK(buffer.to_vector() == Values{7, 7});

  // A buffer that is not dense is not lent: the gradient is copied into it.
  x.impl()->grad_buffer = Tensor::full({2, 2}, 5.0, {.dtype = DType::f64}).select(1, 0);
  sum(twice(x)).backward();
  CHECK_FALSE(lent);
  CHECK(x.grad().impl() == x.impl()->grad_buffer.impl());
  CHECK(grad_of(x) == Values{2, 2});
}

TEST_CASE("an op adds to what its backward's pass has put into a leaf's buffer, and to nothing else") {
  const Tensor w = leaf({2, 3});
  const Tensor buffer = Tensor::full({2}, 99.0, {.dtype = DType::f64});
  w.impl()->grad_buffer = buffer;
  int added = 0;
  const auto lends = [&](const Tensor& in) {
    return custom("lends", in, [](const Tensor& dy, Needs needs) -> Grads {
      const Tensor place = needs.grad_place(0, kCpu);
      place.copy_(dy);
      return {place};
    });
  };
  const auto adds = [&](const Tensor& in) {
    return custom("adds", in, [&](const Tensor& dy, Needs needs) -> Grads {
      const Tensor place = needs.grad_sum(0);
      if (!place.defined()) return {mul(dy, 10.0)};
      ++added;
      place.copy_(add(place, mul(dy, 10.0)));
      return {place};
    });
  };
  const auto run = [&](const auto& first, const auto& last) {  // the last op's backward comes first
    const Tensor a = first(w);
    sum(add(a, last(w))).backward();
  };
  run(adds, lends);
  CHECK(added == 1);
  CHECK(grad_of(w) == Values{11, 11});
  CHECK(w.grad().impl() == buffer.impl());
  run(adds, lends);  // the buffer holds an earlier pass's gradient: it is not lent, and the engine adds
  CHECK(added == 1);
  CHECK(grad_of(w) == Values{22, 22});
  w.set_grad(Tensor());
  run(lends, adds);  // nothing is there yet
  CHECK(added == 1);
  CHECK(grad_of(w) == Values{11, 11});
  w.set_grad(Tensor());
  const Tensor a = adds(w);
  const Grads grads = grad(std::vector{sum(add(a, lends(w)))}, std::vector{w});  // writes to no leaf
  CHECK(added == 1);
  CHECK(grads[0].to_vector() == Values{11, 11});
}

TEST_CASE("a gradient that fails half-way leaves the graph and the buffers usable") {
  const Tensor x = leaf({1, 2});
  x.impl()->grad_buffer = Tensor::zeros({2}, {.dtype = DType::f64});
  bool fails = true;
  const Tensor h = custom("sometimes", x, [&](const Tensor& dy, Needs needs) -> Grads {
    const Tensor place = needs.grad_place(0, kCpu);
    check(!fails, "sometimes: fails");
    place.copy_(dy);
    return {place};
  });
  CHECK_THROWS_WITH_AS(h.backward(Tensor::ones({2}, {.dtype = DType::f64})), "sometimes: fails", Error);
  CHECK(grad_enabled());
  fails = false;
  CHECK_NOTHROW(h.backward(Tensor::ones({2}, {.dtype = DType::f64})));
  CHECK(grad_of(x) == Values{1, 1});
}

TEST_CASE("checkpoint gives the same gradients as keeping everything, dropout masks included") {
  const Tensor w = leaf({0.5, -1, 2, 0.25, 1, 3, -2, 1.5});
  const auto block = [&](std::span<const Tensor> in) {
    return dropout(mul(gelu(dropout(mul(in[0], w), 0.5)), in[1]), 0.25);
  };
  const auto run = [&](bool keep) {
    w.set_grad(Tensor());
    RandomContext::current().begin(3, 1, 0);
    const Tensor x = leaf({1, 2, 3, 4, 5, 6, 7, 8}), scale = leaf({3, 1, 4, 1, 5, 9, 2, 6});
    const Tensor y = keep ? block(std::vector{x, scale}) : checkpoint(block, {x, scale});
    const Tensor z = dropout(mul(y, y), 0.5);  // drawn after the block
    sum(z).backward();
    CHECK(RandomContext::current().state().stream == 3);
    return std::vector{z.to_vector(), grad_of(x), grad_of(scale), grad_of(w)};
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("checkpoint adds to a leaf whose buffer the outer backward has lent") {
  for (const bool inner_first : {true, false}) {
    const Tensor w = leaf({2, 3}), x = leaf({5, 7});
    w.impl()->grad_buffer = Tensor::full({2}, 99.0, {.dtype = DType::f64});
    const auto scaled = [&](const Tensor& in) {
      return record("scaled", mul(in.detach(), w.detach()), {in, w},
                    [=](const Tensor& dy, Needs needs) -> Grads {
                      const Tensor dw = needs.grad_place(1, kCpu);
                      dw.copy_(mul(dy, in.detach()));
                      return {mul(dy, w.detach()), dw};
                    });
    };
    const auto block = [&](std::span<const Tensor> in) { return scaled(in[0]); };
    const Tensor y = inner_first ? scaled(checkpoint(block, {x})) : checkpoint(block, {scaled(x)});
    sum(y).backward();  // y = w^2 x
    CHECK(grad_of(w) == Values{2 * 2 * 5, 2 * 3 * 7});
    CHECK(grad_of(x) == Values{4, 9});
  }
}

TEST_CASE("checkpoint keeps less, runs twice, and is refused in grad") {
  const Tensor x = leaf({1, 2});
  int runs = 0;
  const auto block = [&](std::span<const Tensor> in) {
    ++runs;
    return exp(exp(exp(in[0])));
  };
  const Tensor y = checkpoint(block, {x});
  CHECK(runs == 1);
  CHECK(y.impl()->node->edges[0].leaf == x.impl());  // one node stands for the block
  CHECK_THROWS_WITH_AS(grad(std::vector{sum(y)}, std::vector{x}),
                       "checkpoint: grad() does not see the leaves inside; use backward()", Error);
  sum(checkpoint(block, {x})).backward();
  CHECK(runs == 3);
  const NoGrad guard;
  CHECK_FALSE(checkpoint(block, {x}).requires_grad());
}

TEST_CASE("AnomalyGuard names the op where NaN begins") {
  const Tensor x = leaf({-1, 4});
  const AnomalyGuard guard;
  CHECK_THROWS_WITH_AS(log(x), "log: its output [2] holds NaN", Error);
  CHECK_THROWS_WITH_AS(div(x, Tensor::zeros({2}, {.dtype = DType::f64})),
                       "div: its output [2] holds infinity", Error);
  const Tensor zero = leaf({0});
  CHECK_THROWS_WITH_AS(sqrt(zero).backward(), "backward of sqrt: the gradient [1] of input 0 holds infinity",
                       Error);
}
