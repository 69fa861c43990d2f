// What the plan says of memory, beside what the allocator has handed out.
#include "apps/plan.h"

#include <doctest/doctest.h>

#include <numeric>

#include "core/allocator.h"
#include "core/ops.h"
#include "models/transformer.h"
#include "optim/adam.h"
#include "optim/sgd.h"

using namespace galvan;

namespace {

// The most bytes in use at a time over two training steps, above what was in use before.
double measured_memory(const ModelConfig& config, DType dtype, bool adam, int64_t batch_size) {
  const int64_t before = memory_stats().bytes_in_use;
  reset_peak_memory();
  const Transformer model(config, {.tensor = {.dtype = dtype}});
  std::unique_ptr<Optimizer> optimizer;
  if (adam)
    optimizer = std::make_unique<AdamW>(model.parameters(), AdamOptions{.lr = 1e-3});
  else
    optimizer = std::make_unique<SGD>(model.parameters(), SGDOptions{.lr = 1e-3});
  std::vector<int32_t> ids(static_cast<size_t>(batch_size * config.context));
  std::iota(ids.begin(), ids.end(), 0);
  for (int32_t& id : ids) id %= static_cast<int32_t>(config.vocab);
  const Tensor tokens = Tensor::from(ids, {batch_size, config.context});
  for (int step = 0; step < 2; ++step) {
    const Tensor loss = cross_entropy(model(tokens), tokens);
    optimizer->zero_grad();
    loss.backward();
    optimizer->step({.lr = 1e-3});
  }
  return static_cast<double>(memory_stats().peak_bytes_in_use - before);
}

}  // namespace

TEST_CASE("the memory plan is within a quarter of what training takes") {
  const ModelConfig gpt2{.vocab = 65, .context = 64, .layers = 4, .heads = 4, .width = 128};
  ModelConfig recomputing = gpt2, dropping = gpt2, grouped = llama_style(gpt2), wide = gpt2;
  recomputing.recompute = true;
  recomputing.layers = 8;
  dropping.dropout = 0.1;
  grouped.kv_heads = 1;
  wide.vocab = 3001;
  wide.tied_head = false;
  struct Case {
    const char* name;
    ModelConfig config;
    DType dtype;
    int states;
    int64_t batch_size;
  };
  for (const Case& c :
       {Case{"gpt2", gpt2, DType::f32, 2, 12}, Case{"llama", llama_style(gpt2), DType::f32, 2, 12},
        Case{"grouped", grouped, DType::f32, 0, 7}, Case{"recompute", recomputing, DType::f32, 2, 12},
        Case{"dropout", dropping, DType::f32, 2, 12}, Case{"wide", wide, DType::f32, 2, 5},
        Case{"bf16", gpt2, DType::bf16, 2, 12}, Case{"f64", gpt2, DType::f64, 0, 1}}) {
    CAPTURE(c.name);
    const double planned = plan_memory(c.config, c.dtype, c.states, c.batch_size).total();
    const double measured = measured_memory(c.config, c.dtype, c.states == 2, c.batch_size);
    CHECK(planned / measured > 0.8);
    CHECK(planned / measured < 1.25);
  }
}
