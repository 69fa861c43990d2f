#include "models/range_trainer.h"

#include "core/autograd.h"
#include "core/random.h"

namespace galvan {
namespace {

std::vector<NamedTensor> copied(const std::vector<NamedTensor>& tensors) {
  const NoGrad guard;
  std::vector<NamedTensor> copies;
  for (const auto& [name, tensor] : tensors) copies.emplace_back(name, tensor.detach().clone());
  return copies;
}

}  // namespace

RangeTrainer::RangeTrainer(const Transformer& model, Optimizer& optimizer, const TokenArray& tokens,
                           TokenRange train, const RangeTrainerOptions& options)
    : model_(model),
      optimizer_(optimizer),
      options_(options),
      sampler_(tokens, train,
               {.batch_size = options.batch_size,
                .context = model.config().context,
                .micro_steps = options.accumulate,
                .seed = options.seed,
                .order = options.order}),
      batch_(tokens, sampler_.windows(), optimizer.arena().parameters().device()),
      weights_(copied(model.parameters())),
      state_(copied(optimizer.state())),
      first_step_(optimizer.control().step),
      weight_decay_(optimizer.weight_decay()) {
  check(tokens.vocab_size() <= model.config().vocab, "range test: the text has ", tokens.vocab_size(),
        " kinds of token, the model knows ", model.config().vocab);
  optimizer.zero_grad();
  optimizer.set_step(0);
}

RangeTrainer::~RangeTrainer() {
  restore();
  optimizer_.set_step(first_step_);
}

double RangeTrainer::step(const RangeStep& values) {
  const TrustedIndices trusted;  // a TokenArray has searched them
  const int64_t* const step = optimizer_.step_address();
  double sum = 0;
  for (int64_t micro = 0; micro < options_.accumulate; ++micro) {
    batch_.read(step, micro);
    const RandomPass random(options_.seed, static_cast<uint32_t>(micro), step);
    const Tensor loss =
        model_.loss(batch_.inputs(), batch_.targets(), {.ignore_index = CrossEntropyOptions::kNone});
    loss.backward();
    sum += loss.item();
  }
  if (values.weight_decay) optimizer_.set_weight_decay(*values.weight_decay);
  optimizer_.step({.lr = values.lr,
                   .momentum = values.momentum.value_or(optimizer_.momentum()),
                   .grad_scale = 1.0 / static_cast<double>(options_.accumulate),
                   .clip_norm = options_.clip,
                   .skip_non_finite = true});
  optimizer_.zero_grad();
  return sum / static_cast<double>(options_.accumulate);
}

void RangeTrainer::restore() {
  const NoGrad guard;
  const std::vector<NamedTensor> weights = model_.parameters();
  for (size_t i = 0; i < weights.size(); ++i) weights[i].second.detach().copy_(weights_[i].second);
  optimizer_.load_state(state_);
  optimizer_.set_weight_decay(weight_decay_);
  optimizer_.zero_grad();
  optimizer_.set_step(0);
}

}  // namespace galvan
