#include "apps/training_text.h"

#include <algorithm>

#include "apps/text_format.h"
#include "models/checkpoint.h"

namespace galvan {

namespace fs = std::filesystem;

std::string absolute_path(const std::string& path) { return fs::absolute(path).lexically_normal().string(); }

TrainingText read_training_text(const Settings& settings, TrainSettings& s, const fs::path& checkpoint) {
  TrainingText result;
  const bool from_init = checkpoint.empty() && !s.init.empty();
  const fs::path weights = from_init ? fs::path(s.init) : checkpoint;
  if (from_init) {
    for (const std::string name : {"preset", "style"})
      if (settings.given(name))
        throw UsageError("--init brings its sizes and style; --" + name + " has no place beside it");
    if (settings.given("tokenizer"))
      throw UsageError("--init brings its tokenizer; --tokenizer has no place beside it");
    s.tokenizer = (weights / "tokenizer.json").string();
  }
  result.config =
      weights.empty() ? resolve_model(s) : resolve_model(s, load_config(weights), weights.string());
  if (!weights.empty()) result.tokenizer = Tokenizer::load(weights / "tokenizer.json");
  const bool is_file = s.tokenizer != "char" && s.tokenizer != "byte" && s.tokenizer != "bpe";
  if (!result.tokenizer && is_file) {
    s.tokenizer = absolute_path(s.tokenizer);
    result.tokenizer = make_tokenizer(s, "");
  }
  const bool any_bytes =
      result.tokenizer ? result.tokenizer->kind() == TokenizerKind::byte : s.tokenizer == "byte";
  const std::string text = read_corpus(s.data, any_bytes);
  if (!result.tokenizer) result.tokenizer = make_tokenizer(s, text);
  const Tokenizer& tokenizer = *result.tokenizer;
  result.tokens = TokenArray(tokenizer.encode(text), tokenizer.vocab_size(), tokenizer.fingerprint());
  result.split = split_tokens(result.tokens.size(), s.validation);
  if (!from_init) result.config.vocab = tokenizer.vocab_size();
  return result;
}

BatchOptions batch_options(const TrainSettings& s, const ModelConfig& config) {
  return {.batch_size = s.batch_size,
          .context = config.context,
          .micro_steps = s.accumulate,
          .seed = static_cast<uint64_t>(s.seed),
          .order = s.order == "random" ? BatchOrder::random : BatchOrder::epoch};
}

void settle_epochs(TrainSettings& s, const BatchSampler& sampler) {
  if (s.epochs) {
    check(*s.epochs > 0, "--epochs: ", *s.epochs, " is not above 0");
    const double steps = *s.epochs * static_cast<double>(sampler.windows_per_epoch()) /
                         static_cast<double>(sampler.windows_per_step());
    check(steps <= kMostSteps, "--epochs: ", *s.epochs, " make ", steps, " steps, more than ",
          printed("%.12g", kMostSteps));
    s.steps = std::max<int64_t>(1, sampler.steps_for(*s.epochs));
  }
  s.epochs.reset();
}

}  // namespace galvan
