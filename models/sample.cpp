#include "models/sample.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/autograd.h"
#include "core/check.h"

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

int32_t choose_token(std::span<const double> logits, const SampleOptions& options, double u) {
  check(!logits.empty(), "sample: no logits");
  std::vector<int32_t> order(logits.size());  // likeliest first, the smaller id first among equals
  std::iota(order.begin(), order.end(), 0);
  for (double logit : logits) check(!std::isnan(logit), "sample: the model's logits hold NaN");
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  const double best = logits[order[0]];
  check(std::isfinite(best), "sample: the model's largest logit is ", best);
  if (options.temperature == 0 || options.top_k == 1) return order[0];

  if (options.top_k > 0 && options.top_k < static_cast<int64_t>(order.size()))
    order.resize(static_cast<size_t>(options.top_k));
  std::vector<double> weights(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    weights[i] = std::exp((logits[order[i]] - best) / options.temperature);
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (options.top_p < 1) {
    double reached = 0;
    size_t kept = 0;
    while (kept < weights.size() && reached < options.top_p * total) reached += weights[kept++];
    weights.resize(kept);
    total = reached;
  }
  while (weights.back() == 0) weights.pop_back();
  double left = u * total;
  for (size_t i = 0; i < weights.size(); ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[weights.size() - 1];
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
    const Tensor logits = model.next_logits(Tensor::from(next, {1, static_cast<int64_t>(fresh)}), cache);
    std::vector<double> row = logits.to_vector();
    row.resize(static_cast<size_t>(
        std::min(tokenizer.vocab_size(), logits.size(1))));  // ids of no token are never drawn
    const Philox4 words = random.words(static_cast<uint64_t>(i));
    const int32_t token = choose_token(row, options, (words[0] + words[1] * 0x1p-32) * 0x1p-32);
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
