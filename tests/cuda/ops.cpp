// Every row of the op table on the card: forward and backward, for every dtype that the op takes, give what the CPU
// gives in f64 (tests/core/ops.cpp compares that with PyTorch) for the same inputs.
#include "core/gradcheck.h"
#include "op_check.h"

using namespace galvan;

TEST_CASE("every op on the card gives what the CPU gives in f64, forward and backward") {
  for (const OpRow& row : op_table())
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      if (!types_of(row.op).contains(dtype)) continue;
      for (const Sample& s : samples(row)) {
        CAPTURE(s.name);
        CAPTURE(std::string(name(dtype)));
        const std::vector<Tensor> narrow = converted(s.inputs, dtype);
        check_row(row, s, dtype, row.call, on_card(narrow), converted(narrow, DType::f64));
      }
    }
}

TEST_CASE("ops on the card do not care how their inputs and upstream gradients are laid out") {
  for (const OpRow& row : op_table())
    for (const Sample& s : samples(row)) {
      if (!types_of(row.op).contains(DType::f32)) continue;
      CAPTURE(s.name);
      const std::vector<Tensor> narrow = converted(s.inputs, DType::f32);
      check_row(row, s, DType::f32, on_swapped(row), swapped(on_card(narrow)), converted(narrow, DType::f64));
    }
}

TEST_CASE("i32 and bool on the card give what the CPU gives") {
  for (const OpRow& row : op_table())
    for (const DType dtype : {DType::i32, DType::boolean}) {
      if (!types_of(row.op).contains(dtype)) continue;
      for (const Sample& s : samples(row)) {
        if (!is_whole(s.attributes)) continue;
        CAPTURE(s.name);
        CAPTURE(std::string(name(dtype)));
        const std::vector<Tensor> inputs = whole_numbers(s.inputs, dtype);
        NoGrad guard;
        const Outputs got = row.call(on_card(inputs), s.attributes), want = row.call(inputs, s.attributes);
        for (size_t j = 0; j < got.size(); ++j) CHECK(got[j].to_vector() == want[j].to_vector());
      }
    }
}

TEST_CASE("gradcheck works on the card") {
  const Tensor x =
      Tensor::uniform({3, 5}, {.low = -1, .seed = 1, .tensor = {.dtype = DType::f64, .device = kCuda}});
  CHECK_NOTHROW(gradcheck([](Inputs in) { return std::vector{softmax(in[0])}; }, {x}));
  const auto wrong = [](Inputs in) {
    return std::vector{record("wrong", mul(in[0].detach(), 2.0), {in[0]},
                              [](const Tensor& dy, Needs) -> Grads { return {dy}; })};
  };
  CHECK(find_wrong_gradient(wrong, {x}));
}

TEST_CASE("tensors move between devices, with their gradients") {
  const Tensor x = Tensor::uniform({3, 5}, {.seed = 1}).set_requires_grad();
  const Tensor y = x.to(kCuda);
  CHECK(y.device() == kCuda);
  CHECK(y.to(kCuda).impl() == y.impl());
  CHECK(y.to_vector() == x.to_vector());
  CHECK(y.transpose(0, 1).to(kCpu).to_vector() == x.transpose(0, 1).to_vector());
  sum(y * y).backward();
  CHECK(x.grad().device() == kCpu);
  CHECK(x.grad().to_vector() == mul(x.detach(), 2.0).to_vector());

  const Tensor z = Tensor::zeros({2, 3, 5}, {.dtype = DType::f64, .device = kCuda});
  z.copy_(x.detach());
  CHECK(z.select(0, 1).to_vector() == x.to_vector());
  CHECK(Tensor::zeros({0, 3}, {.device = kCuda}).to(kCpu).shape() == Shape{0, 3});
}

TEST_CASE("tensors on two devices do not mix, and the error says so") {
  const Tensor host = Tensor::ones({2, 3}), card = host.to(kCuda);
  CHECK_THROWS_WITH_AS(add(host, card), "add: devices differ, cpu and cuda:0", Error);
  CHECK_THROWS_WITH_AS(matmul(card, host.transpose(0, 1)), "matmul: devices differ, cuda:0 and cpu", Error);
  CHECK_THROWS_WITH_AS(where(gt(card, card), host, host), "where: devices differ, cuda:0 and cpu", Error);
  CHECK_THROWS_WITH_AS(embedding(card, Tensor::arange(2)), "embedding: devices differ, cuda:0 and cpu",
                       Error);
  CHECK_THROWS_WITH_AS(gather(card, 1, Tensor::zeros({2, 1}, {.dtype = DType::i32})),
                       "gather: devices differ, cuda:0 and cpu", Error);
  CHECK_THROWS_WITH_AS(cross_entropy(card, Tensor::arange(2)),
                       "cross_entropy: devices differ, cuda:0 and cpu", Error);
  CHECK_THROWS_WITH_AS(embedding(card, Tensor::arange(3).to(kCuda)),
                       "embedding: index 2 at position 2 is out of range for 2 rows", Error);
  CHECK_THROWS_WITH_AS(Tensor::zeros({1}, {.device = {Device::Kind::cuda, 1}}),
                       "cuda:1: cuda:0 is the one card that is used", Error);
}
