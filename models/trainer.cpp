#include "models/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/autograd.h"

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

// The gradients' norm of the last step by layer: embedding, positions, blocks.0, ..., norm, head.
nlohmann::ordered_json layer_grad_norms(const Optimizer& optimizer, double grad_scale) {
  const std::vector<double> of_segments = optimizer.segment_grad_squares();
  std::vector<std::pair<std::string, double>> squares;
  for (size_t i = 0; i < of_segments.size(); ++i) {
    const std::string& name = optimizer.arena().segments()[i].name;
    const size_t first = name.find('.');
    const std::string layer = name.substr(0, name.starts_with("blocks.") ? name.find('.', first + 1) : first);
    auto place =
        std::find_if(squares.begin(), squares.end(), [&](const auto& entry) { return entry.first == layer; });
    if (place == squares.end()) place = squares.insert(squares.end(), {layer, 0.0});
    place->second += of_segments[i];
  }
  nlohmann::ordered_json record;
  for (const auto& [layer, sum] : squares) record[layer] = grad_scale * std::sqrt(sum);
  return record;
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
                .order = options.order}),
      batch_(inputs.tokens, sampler_.windows(), inputs.optimizer.arena().parameters().device()),
      step_replay_(device(), options.replay) {
  check(options.steps >= 0, "train: steps ", options.steps, " is negative");
  check(inputs.tokens.vocab_size() <= inputs.model.config().vocab, "train: the text has ",
        inputs.tokens.vocab_size(), " kinds of token, the model knows ", inputs.model.config().vocab);
  check(!options.patience_in_cycles || inputs.schedule.cycle_end_after(0), "train: ", inputs.schedule.name(),
        " has no cycles at whose ends to stop");
  check_compatible(inputs.schedule, inputs.optimizer.momentum(), options.steps);
  table_ = tabulate(inputs.schedule, options.steps, inputs.optimizer.momentum());
  if (options.steps > 0) inputs.optimizer.set_schedule(table_);
  inputs.optimizer.set_step(0);
  if (inputs.split.validation.size() > 1)
    evaluator_.emplace(inputs.model, inputs.tokens, inputs.split.validation, inputs.tokenizer,
                       options.batch_size, 0, options.replay);
}

void Trainer::resume(const TrainingState& state) {
  check(state.step <= options_.steps, "resume: the checkpoint is at step ", state.step, ", past the ",
        options_.steps, " steps of this run");
  inputs_.optimizer.load_state(state.optimizer);
  inputs_.optimizer.set_step(state.step);
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

// Adds one micro-batch's gradients; returns its loss. The step's number is the optimizer's, where the device has it.
Tensor Trainer::forward_backward(int64_t micro_step) {
  const int64_t* const step = inputs_.optimizer.step_address();
  batch_.read(step, micro_step);
  const RandomPass random(options_.seed, static_cast<uint32_t>(micro_step), step);
  const Tensor loss =
      inputs_.model.loss(batch_.inputs(), batch_.targets(), {.ignore_index = CrossEntropyOptions::kNone});
  loss.backward();
  return loss;
}

void Trainer::enqueue_step() {
  const TrustedIndices trusted;  // a TokenArray has searched them
  Optimizer& optimizer = inputs_.optimizer;
  for (int64_t micro = 0; micro < options_.accumulate; ++micro) optimizer.add_loss(forward_backward(micro));
  optimizer.enqueue_step({.grad_scale = 1.0 / static_cast<double>(options_.accumulate),
                          .clip_norm = options_.clip,
                          .skip_non_finite = true});
  optimizer.zero_grad();
}

// So many updates, of which the host waits for the last alone. Returns what those that were done report; where one
// was not finite, it and all after it are not done, and bad_ has it.
std::vector<StepReport> Trainer::train_steps(int64_t count) {
  check(step_ + count <= options_.steps, "train: the run has ", options_.steps, " steps");
  const auto start = Clock::now();
  step_replay_.run([&] { enqueue_step(); }, count);
  const int64_t begin = step_, end = inputs_.optimizer.control().step;  // waits
  const std::vector<StepRecord> records = inputs_.optimizer.records(begin, std::min(end + 1, begin + count));
  step_seconds_ = seconds_since(start) / static_cast<double>(count);

  std::vector<StepReport> reports;
  for (; step_ < end; ++step_) {
    const StepRecord& record = records[static_cast<size_t>(step_ - begin)];
    const auto k = static_cast<size_t>(step_);
    reports.push_back({.step = step_ + 1,
                       .epoch = sampler_.epochs_after(step_) + 1,
                       .loss = record.loss,
                       .lr = table_.lr[k],
                       .momentum = table_.momentum[k],
                       .grad_norm = record.grad_norm,
                       .tokens = batch_.inputs().numel() * options_.accumulate,
                       .seconds = step_seconds_});
  }
  if (end < begin + count) bad_ = records.back();
  return reports;
}

StepReport Trainer::train_step() {
  const std::vector<StepReport> reports = train_steps(1);
  if (bad_) explain_non_finite(*bad_);
  return reports[0];
}

// How many steps come before the next that is followed by more than a line of the record.
int64_t Trainer::steps_to_pause(int64_t epoch) const {
  // On a card as many as take a tenth of a second or two: often enough to be watched and stopped.
  constexpr double kSeconds = 0.15;
  const int64_t unwatched =
      device().is_cpu() || step_seconds_ == 0
          ? 1
          : std::clamp<int64_t>(static_cast<int64_t>(kSeconds / step_seconds_), 1, kStepRecords / 2);
  const int64_t of_epoch = (epoch + 1) * sampler_.windows_per_epoch();
  int64_t next = std::min(options_.steps, (of_epoch - 1) / sampler_.windows_per_step() + 1);
  for (const int64_t every : {options_.eval_every, options_.save_every})
    if (every > 0) next = std::min(next, (step_ / every + 1) * every);
  if (const auto end = inputs_.schedule.cycle_end_after(step_)) next = std::min(next, *end);
  return std::min(next - step_, unwatched);
}

// After an evaluation. In cycles: one is without a best when no evaluation since the one before has made a best.
void Trainer::count_patience(bool is_best, bool at_cycle_end) {
  if (is_best)
    progress_.without_best = 0;
  else if (!options_.patience_in_cycles)
    ++progress_.without_best;
  if (options_.patience_in_cycles && at_cycle_end) {
    const std::vector<int64_t> before = cycle_ends(inputs_.schedule, step_ - 1);
    const int64_t begin = before.empty() ? 0 : before.back();
    progress_.without_best = progress_.best_step > begin ? 0 : progress_.without_best + 1;
  }
}

void Trainer::explain_non_finite(const StepRecord& record) {
  const double loss = std::isnan(record.loss) ? std::abs(record.loss) : record.loss;  // no "-nan"
  const double grad_norm = std::isnan(record.grad_norm) ? std::abs(record.grad_norm) : record.grad_norm;
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

void Trainer::save_now(bool is_best) {
  metrics_->sync();
  save(run_, is_best);
  saved_ = step_;
}

void Trainer::begin(const std::filesystem::path& run) {
  std::error_code ignored;
  check(resumed_ || step_ > 0 || !std::filesystem::exists(run / "current", ignored), run.string(),
        ": holds a run's checkpoints already; resume it, or train in another folder");
  run_ = run;
  metrics_.emplace(run / "metrics.jsonl", step_);
  saved_ = resumed_ ? step_ : -1;
  if (step_ > 0 && progress_.best_step == step_)
    save(run, true);  // a kill may have come between the two links
}

std::optional<Ending> Trainer::advance(const std::atomic<bool>& stop) {
  if (!is_patient()) return Ending::out_of_patience;
  if (step_ == options_.steps) return Ending::finished;
  if (stop) {
    if (saved_ != step_) save_now(false);
    return Ending::stopped;
  }
  const int64_t epoch = sampler_.epochs_after(step_);
  for (const StepReport& report : train_steps(steps_to_pause(epoch))) {
    progress_.epoch_loss += report.loss;
    ++progress_.epoch_steps;
    metrics_->append(to_json(report));
    if (events_.on_step) events_.on_step(report);
  }
  if (bad_) {
    if (saved_ != step_) save_now(false);
    explain_non_finite(*bad_);
  }

  const bool epoch_goes_on = sampler_.epochs_after(step_) == epoch;
  const bool end = step_ == options_.steps, cycle_end = at_cycle_end();
  std::optional<Evaluation> evaluation;
  bool is_best = false;
  const bool looks = due(options_.eval_every) || !epoch_goes_on || cycle_end || end;
  if (looks)
    metrics_->append({{"step", step_},
                      {"grad_norms",
                       layer_grad_norms(inputs_.optimizer, 1.0 / static_cast<double>(options_.accumulate))}});
  if (evaluator_ && looks) {
    evaluation = evaluator_->run();
    is_best = evaluation->loss < progress_.best_loss;
    if (is_best) {
      progress_.best_loss = evaluation->loss;
      progress_.best_step = step_;
    }
    count_patience(is_best, cycle_end);
    metrics_->append(to_json(step_, *evaluation));
    if (events_.on_evaluation) events_.on_evaluation(step_, *evaluation, is_best);
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
  if (cycle_end && events_.on_cycle) events_.on_cycle(step_);
  if (is_best || due(options_.save_every) || cycle_end || end || !is_patient()) save_now(is_best);
  return {};
}

Ending Trainer::run(const std::filesystem::path& run, const std::atomic<bool>& stop) {
  begin(run);
  std::optional<Ending> ending;
  while (!ending) ending = advance(stop);
  return *ending;
}

}  // namespace galvan
