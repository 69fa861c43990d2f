#include "models/sample.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/sampling_rule.h"

namespace galvan {
namespace {

std::vector<int32_t> first_tokens(const Tokenizer& tokenizer, const std::string& prompt) {
  if (!prompt.empty()) return tokenizer.encode(prompt);
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    if (tokenizer.token(id) == "\n") return {id};
  return {0};
}

}  // namespace

void validate(const SampleOptions& o) {
  check(o.tokens >= 0, "sample: tokens ", o.tokens, " is negative");
  check(o.temperature >= 0 && std::isfinite(o.temperature), "sample: temperature ", o.temperature,
        " is not 0 or more");
  check(o.top_k >= 0, "sample: top_k ", o.top_k, " is negative");
  check(o.top_p > 0 && o.top_p <= 1, "sample: top_p ", o.top_p, " is not in (0, 1]");
}

std::string generate(const Transformer& model, const Tokenizer& tokenizer, const std::string& prompt,
                     const SampleOptions& options, const std::function<void(const std::string&)>& on_text) {
  validate(options);
  NoGrad guard;
  const auto context = static_cast<size_t>(model.config().context);
  std::vector<int32_t> window = first_tokens(tokenizer, prompt);  // what the model has seen, and `fresh` more
  if (window.size() > context) window.erase(window.begin(), window.end() - static_cast<int64_t>(context));
  size_t fresh = window.size();
  const int64_t room = static_cast<int64_t>(window.size()) + std::min(options.tokens, model.config().context);
  KeyValueCache cache = model.make_cache(1, room);
  StreamingDecoder decoder(tokenizer);
  const RandomStream random{.seed = options.seed, .stream = stream_of("sample")};
  const TensorOptions on_device{.dtype = DType::i32, .device = model.parameters()[0].second.device()};
  std::string text;
  size_t shown = 0;
  // Shows text up to `end`, or up to the code point that `end` would cut.
  const auto show = [&](size_t end) {
    while (end > shown && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    if (on_text && end > shown) on_text(text.substr(shown, end - shown));
    shown = std::max(shown, end);
  };

  for (int64_t i = 0; i < options.tokens; ++i) {
    const std::vector<int32_t> next(window.end() - static_cast<int64_t>(fresh), window.end());
    const Tensor logits =
        model.next_logits(Tensor::from(next, {1, static_cast<int64_t>(fresh)}, on_device), cache);
    const int64_t tokens =
        std::min(tokenizer.vocab_size(), logits.size(1));  // ids of no token are never drawn
    const Philox4 words = random.words(static_cast<uint64_t>(i));
    const auto token = static_cast<int32_t>(
        sample(logits.select(0, 0).slice(0, 0, tokens),
               {.temperature = options.temperature, .top_k = options.top_k, .top_p = options.top_p},
               uint64_t{words[0]} << 32 | words[1])
            .item());
    check(token != kLogitIsNan, "sample: the model's logits hold NaN");
    check(token >= 0, "sample: the model's largest logit is infinite");
    text += decoder.push(token);
    if (!options.stop.empty()) {
      // What may turn out to be the beginning of the stop text is not shown yet.
      const size_t from = shown > options.stop.size() ? shown - options.stop.size() : 0;
      if (const size_t found = text.find(options.stop, from); found != std::string::npos) {
        text.resize(found);
        show(found);
        return text;
      }
      show(text.size() > options.stop.size() ? text.size() - options.stop.size() : 0);
    } else {
      show(text.size());
    }
    window.push_back(token);
    fresh = 1;
    if (window.size() > context) {
      const size_t kept = std::max<size_t>(1, context / 2);
      window.erase(window.begin(), window.end() - static_cast<int64_t>(kept));
      fresh = window.size();
      cache = model.make_cache(1, room);
    }
  }
  text += decoder.finish();
  show(text.size());
  return text;
}

}  // namespace galvan
