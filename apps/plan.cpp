#include "apps/plan.h"

#include <algorithm>
#include <cstdio>

#include "apps/text_format.h"
#include "core/check.h"

namespace galvan {

MemoryPlan plan_memory(const ModelConfig& c, DType dtype, int states, int64_t batch_size) {
  const auto parameters = static_cast<double>(c.parameters());
  const auto size = static_cast<double>(size_of(dtype));
  const double wide = dtype == DType::bf16 ? 4 : size;  // what the optimizer computes in

  // Numbers a token that a block keeps: both norms' outputs and sums (4 C), queries, keys and values, what attention
  // gives, the MLP's hidden layer before and after its nonlinearity, and both branches.
  const auto C = static_cast<double>(c.width), F = static_cast<double>(c.hidden());
  const double qkv = static_cast<double>((c.heads + 2 * c.key_value_heads()) * c.head_size());
  double block = 4 * C + qkv + C + (c.mlp == Mlp::swiglu ? 3 : 2) * F + 2 * C;
  if (c.positions == Positions::rotary) block += qkv;
  if (c.dropout > 0) block += 2 * C;
  const double working = std::max(2 * F, qkv + C);  // gradients under way in backward
  const double kept =
      c.recompute ? static_cast<double>(c.layers) * C + block : static_cast<double>(c.layers) * block;
  const double token =
      kept + working + 3 * C + 2 * static_cast<double>(c.vocab);  // ... embedding, logits and theirs

  return {.weights = parameters * (dtype == DType::bf16 ? size + wide : size),
          .gradients = parameters * size,
          .optimizer = parameters * states * wide,
          .activations = token * static_cast<double>(batch_size) * static_cast<double>(c.context) * size};
}

std::string parameter_table(const ModelConfig& c) {
  const int64_t norm = c.width * (c.norm == Norm::layer && c.bias ? 2 : 1);
  const int64_t norms = (2 * c.layers + 1) * norm;
  const int64_t embedding = c.vocab * c.width;
  const int64_t positions = c.positions == Positions::learned ? c.context * c.width : 0;
  const int64_t head = c.tied_head ? 0 : c.vocab * c.width;
  const int64_t qkv = (c.heads + 2 * c.key_value_heads()) * c.head_size();
  const int64_t attention = c.layers * (c.width * (qkv + c.width) + (c.bias ? qkv + c.width : 0));
  const int64_t total = c.parameters();
  const int64_t mlp = total - norms - embedding - positions - head - attention;

  std::string table;
  const auto line = [&](const char* what, int64_t n, const std::string& remark) {
    if (n == 0) return;
    char text[160];
    std::snprintf(text, sizeof text, "  %-12s%15s%8.1f %%%s%s\n", what, with_commas(n).c_str(),
                  100.0 * static_cast<double>(n) / static_cast<double>(total), remark.empty() ? "" : "   ",
                  remark.c_str());
    table += text;
  };
  line("embedding", embedding,
       concat(c.vocab, " tokens, ", c.width, " wide", c.tied_head ? ", shared with the head" : ""));
  line("positions", positions, concat(c.context, " learned"));
  line("attention", attention,
       concat(c.layers, " layers of ", c.heads, " heads",
              c.key_value_heads() == c.heads ? "" : concat(" (", c.key_value_heads(), " for keys)")));
  line("mlp", mlp, concat(c.layers, " layers, ", c.hidden(), " hidden"));
  line("norms", norms, "");
  line("head", head, "");
  line("all", total, "");
  return table;
}

std::string advice_to_fit(const ModelConfig& config, DType dtype, int states, int64_t batch_size,
                          int64_t accumulate, double available) {
  const auto fits = [&](const ModelConfig& c, int64_t batch) {
    return plan_memory(c, dtype, states, batch).total() <= available;
  };
  if (fits(config, batch_size)) return "";
  ModelConfig recomputing = config;
  recomputing.recompute = true;
  for (const ModelConfig& c : {config, recomputing}) {
    const char* recompute = c.recompute && !config.recompute ? " --recompute" : "";
    int64_t batch = batch_size, micro_batches = accumulate;
    while (batch > 1 && !fits(c, batch)) {
      // Halves where that leaves the update's sequences as many as they were, and otherwise takes one at a time.
      micro_batches *= batch % 2 == 0 ? 2 : batch;
      batch = batch % 2 == 0 ? batch / 2 : 1;
    }
    if (fits(c, batch)) return concat("--batch-size ", batch, " --accumulate ", micro_batches, recompute);
  }
  return "a smaller model";
}

}  // namespace galvan
