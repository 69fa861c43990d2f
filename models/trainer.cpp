#include "models/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/autograd.h"
#include "models/metrics.h"

namespace galvan {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

nlohmann::ordered_json to_json(const StepReport& r) {
  return {{"step", r.step},         {"epoch", r.epoch},         {"loss", r.loss},     {"lr", r.lr},
          {"momentum", r.momentum}, {"grad_norm", r.grad_norm}, {"tokens", r.tokens}, {"seconds", r.seconds}};
}

nlohmann::ordered_json to_json(int64_t step, const Evaluation& e) {
  return {{"step", step},
          {"eval_loss", e.loss},
          {"eval_accuracy", e.accuracy},
          {"eval_perplexity", e.perplexity},
          {"eval_bits_per_character", e.bits_per_character}};
}

}  // namespace

Trainer::Trainer(const TrainerInputs& inputs, const TrainerOptions& options, TrainerEvents events)
    : inputs_(inputs),
      options_(options),
      events_(std::move(events)),
      sampler_(inputs.tokens, inputs.split.train,
               {.batch_size = options.batch_size,
                .context = inputs.model.config().context,
                .micro_steps = options.accumulate,
                .seed = options.seed,
                .order = options.order}) {
  check(options.steps >= 0, "train: steps ", options.steps, " is negative");
  check_compatible(inputs.schedule, inputs.optimizer.momentum(), options.steps);
  table_ = tabulate(inputs.schedule, options.steps, inputs.optimizer.momentum());
  tokens_ = Tensor::zeros({options.batch_size, inputs.model.config().context}, {.dtype = DType::i32});
  targets_ = Tensor::zeros(tokens_.shape(), {.dtype = DType::i32});
}

void Trainer::resume(const TrainingState& state) {
  check(state.step <= options_.steps, "resume: the checkpoint is at step ", state.step, ", past the ",
        options_.steps, " steps of this run");
  inputs_.optimizer.load_state(state.optimizer);
  step_ = state.step;
  resumed_ = true;
  try {
    const auto& p = state.progress;
    // JSON has no infinity: no best yet is null.
    progress_.best_loss = p.at("best_loss").is_null() ? std::numeric_limits<double>::infinity()
                                                      : p.at("best_loss").get<double>();
    progress_.best_step = p.at("best_step");
    progress_.without_best = p.at("evaluations_without_best");
    progress_.epoch_loss = p.at("epoch_loss");
    progress_.epoch_steps = p.at("epoch_steps");
  } catch (const nlohmann::json::exception& error) {
    fail("resume: training.json is not understood: ", error.what());
  }
}

void Trainer::save(const std::filesystem::path& run, bool is_best) {
  TrainingState state{.step = step_, .progress = {}, .optimizer = inputs_.optimizer.state()};
  const Progress& p = progress_;
  state.progress["best_loss"] =
      std::isfinite(p.best_loss) ? nlohmann::ordered_json(p.best_loss) : nlohmann::ordered_json();
  state.progress["best_step"] = p.best_step;
  state.progress["evaluations_without_best"] = p.without_best;
  state.progress["epoch_loss"] = p.epoch_loss;
  state.progress["epoch_steps"] = p.epoch_steps;
  save_checkpoint(run, inputs_.model, inputs_.tokenizer, state, is_best);
  if (events_.on_checkpoint) events_.on_checkpoint(step_, is_best);
}

// Adds one micro-batch's gradients; returns its loss.
double Trainer::forward_backward(int64_t micro_step) {
  const auto n = static_cast<size_t>(tokens_.numel());
  sampler_.read(step_, micro_step, {tokens_.data<int32_t>(), n}, {targets_.data<int32_t>(), n});
  RandomContext::current().begin(options_.seed, static_cast<uint32_t>(step_),
                                 static_cast<uint32_t>(micro_step));
  const Tensor logits = inputs_.model(tokens_);
  const Tensor loss = cross_entropy(logits, targets_);
  loss.backward();
  return loss.item();
}

StepReport Trainer::train_step() {
  const auto start = Clock::now();
  const double lr = table_.lr.at(static_cast<size_t>(step_)),
               momentum = table_.momentum.at(static_cast<size_t>(step_));
  double loss = 0;
  for (int64_t micro = 0; micro < options_.accumulate; ++micro) loss += forward_backward(micro);
  loss /= static_cast<double>(options_.accumulate);
  const double scale = 1.0 / static_cast<double>(options_.accumulate);
  StepResult result{.grad_norm = loss, .applied = false};  // a bad loss has bad gradients
  if (std::isfinite(loss))
    result = inputs_.optimizer.step({.lr = lr,
                                     .momentum = momentum,
                                     .grad_scale = scale,
                                     .clip_norm = options_.clip,
                                     .skip_non_finite = true});
  inputs_.optimizer.zero_grad();
  if (!result.applied) explain_non_finite(loss, result.grad_norm);
  const int64_t epoch = sampler_.epochs_after(step_) + 1;
  ++step_;
  return {.step = step_,
          .epoch = epoch,
          .loss = loss,
          .lr = lr,
          .momentum = momentum,
          .grad_norm = result.grad_norm,
          .tokens = tokens_.numel() * options_.accumulate,
          .seconds = seconds_since(start)};
}

void Trainer::explain_non_finite(double loss, double grad_norm) {
  if (std::isnan(loss)) loss = std::abs(loss);  // no "-nan"
  if (std::isnan(grad_norm)) grad_norm = std::abs(grad_norm);
  std::string culprit = "no single op's result is; the sum of squares overflowed";
  try {
    AnomalyGuard guard;
    for (int64_t micro = 0; micro < options_.accumulate; ++micro) forward_backward(micro);
  } catch (const Error& error) {
    culprit = error.what();
  }
  for (const auto& [name, tensor] : inputs_.model.parameters()) {
    const std::vector<double> values = tensor.to_vector();
    if (!std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }))
      culprit = "the parameter " + name + " itself";
  }
  inputs_.optimizer.zero_grad();
  throw NonFiniteError(concat("step ", step_ + 1, ": the loss is ", loss, " and the gradient norm ",
                              grad_norm, ". First bad value: ", culprit, ". The weights are those of step ",
                              step_));
}

Ending Trainer::run(const std::filesystem::path& run, const std::atomic<bool>& stop) {
  std::error_code ignored;
  check(resumed_ || step_ > 0 || !std::filesystem::exists(run / "current", ignored), run.string(),
        ": holds a run's checkpoints already; resume it, or train in another folder");
  MetricsFile metrics(run / "metrics.jsonl", step_);
  const bool has_validation = inputs_.split.validation.size() > 1;
  int64_t saved = resumed_ ? step_ : -1;
  const auto save_now = [&](bool is_best) {
    metrics.sync();
    save(run, is_best);
    saved = step_;
  };
  if (step_ > 0 && progress_.best_step == step_)
    save(run, true);  // a kill may have come between the two links

  bool patient = options_.patience == 0 || progress_.without_best < options_.patience;
  while (step_ < options_.steps && patient) {
    const int64_t epoch = sampler_.epochs_after(step_);
    bool epoch_goes_on = true;
    while (epoch_goes_on && step_ < options_.steps && patient) {
      if (stop) {
        if (saved != step_) save_now(false);
        return Ending::stopped;
      }
      StepReport report;
      try {
        report = train_step();
      } catch (const NonFiniteError&) {
        if (saved != step_) save_now(false);
        throw;
      }
      progress_.epoch_loss += report.loss;
      ++progress_.epoch_steps;
      metrics.append(to_json(report));
      if (events_.on_step) events_.on_step(report);

      epoch_goes_on = sampler_.epochs_after(step_) == epoch;
      const bool end = step_ == options_.steps;
      std::optional<Evaluation> evaluation;
      bool is_best = false;
      if (has_validation && (due(options_.eval_every) || !epoch_goes_on || end)) {
        evaluation = evaluate(inputs_.model, inputs_.tokens, inputs_.split.validation, inputs_.tokenizer,
                              options_.batch_size);
        is_best = evaluation->loss < progress_.best_loss;
        progress_.without_best = is_best ? 0 : progress_.without_best + 1;
        if (is_best) {
          progress_.best_loss = evaluation->loss;
          progress_.best_step = step_;
        }
        metrics.append(to_json(step_, *evaluation));
        if (events_.on_evaluation) events_.on_evaluation(step_, *evaluation, is_best);
        patient = options_.patience == 0 || progress_.without_best < options_.patience;
      }
      if (!epoch_goes_on || end) {
        const double mean = progress_.epoch_loss / static_cast<double>(progress_.epoch_steps);
        if (events_.on_epoch)
          events_.on_epoch({.epoch = epoch + 1, .train_loss = mean, .evaluation = evaluation});
      }
      if (!epoch_goes_on) {
        progress_.epoch_loss = 0;
        progress_.epoch_steps = 0;
      }
      if (is_best || due(options_.save_every) || end || !patient) save_now(is_best);
    }
  }
  return patient ? Ending::finished : Ending::out_of_patience;
}

}  // namespace galvan
