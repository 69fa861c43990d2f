#include "apps/run_metrics.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "models/files.h"

namespace galvan {

RunMetrics read_metrics(const std::filesystem::path& run) {
  RunMetrics metrics;
  const std::string text = read_text_file(run / "metrics.jsonl");
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    const auto record =
        nlohmann::json::parse(text.data() + begin, text.data() + end, nullptr, /*allow_exceptions=*/false);
    if (!record.is_object()) continue;
    const auto number = [&](const char* key) {
      const auto found = record.find(key);
      return found != record.end() && found->is_number() ? found->get<double>()
                                                         : std::numeric_limits<double>::quiet_NaN();
    };
    if (record.contains("loss")) {
      metrics.step.push_back(number("step"));
      metrics.loss.push_back(number("loss"));
      metrics.lr.push_back(number("lr"));
      metrics.momentum.push_back(number("momentum"));
      metrics.grad_norm.push_back(number("grad_norm"));
      metrics.tokens.push_back(number("tokens"));
      metrics.seconds.push_back(number("seconds"));
    } else if (record.contains("eval_loss")) {
      metrics.eval_step.push_back(number("step"));
      metrics.eval_loss.push_back(number("eval_loss"));
      metrics.eval_accuracy.push_back(number("eval_accuracy"));
      metrics.eval_perplexity.push_back(number("eval_perplexity"));
      metrics.eval_bits_per_character.push_back(number("eval_bits_per_character"));
    }
  }
  return metrics;
}

}  // namespace galvan
