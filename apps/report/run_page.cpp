#include "apps/report/run_page.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/report/figure.h"
#include "apps/report/page.h"
#include "apps/report/run_facts.h"
#include "apps/text_format.h"
#include "core/check.h"
#include "models/files.h"

namespace galvan::report {
namespace {

constexpr size_t kMostSamples = 12, kMostMarks = 40;

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double v : values) total += std::isfinite(v) ? v : 0;
  return total;
}

// The mean of the last twentieth.
double at_the_end(const std::vector<double>& values) {
  const size_t n = std::max<size_t>(1, values.size() / 20);
  return std::accumulate(values.end() - static_cast<std::ptrdiff_t>(n), values.end(), 0.0) /
         static_cast<double>(n);
}

std::optional<size_t> best_evaluation(const RunMetrics& m) {
  if (m.eval_loss.empty()) return {};
  return static_cast<size_t>(std::min_element(m.eval_loss.begin(), m.eval_loss.end()) - m.eval_loss.begin());
}

struct Fact {
  std::string name, value, more = {};
};

std::vector<Fact> facts_of(const Run& run) {
  const RunMetrics& m = run.metrics;
  const double tokens = sum(m.tokens), seconds = sum(m.seconds);
  std::vector<Fact> facts;
  if (const auto best = best_evaluation(m)) {
    facts.push_back({"Best validation loss", printed("%.4f", m.eval_loss[*best]),
                     "at step " + figure_text(m.eval_step[*best])});
    facts.push_back({"Last validation loss", printed("%.4f", m.eval_loss.back()),
                     printed("accuracy %.4f", m.eval_accuracy.back())});
  }
  if (run.cycles && run.cycles->average && run.cycles->ensemble) {
    const std::string of = concat("of ", run.cycles->cycles, " cycle ends");
    facts.push_back({"Averaged weights, loss", printed("%.4f", *run.cycles->average), of});
    facts.push_back({"Ensemble, loss", printed("%.4f", *run.cycles->ensemble), of});
  }
  facts.push_back({"Training loss", printed("%.4f", at_the_end(m.loss)), "mean of the last 5 % of steps"});
  const auto planned = run.option("steps");
  const bool whole = planned && std::holds_alternative<int64_t>(*planned) &&
                     static_cast<double>(std::get<int64_t>(*planned)) > m.step.back();
  facts.push_back({"Steps", with_commas(static_cast<int64_t>(m.step.back())),
                   whole ? "of " + with_commas(std::get<int64_t>(*planned)) : ""});
  facts.push_back({"Tokens", printed("%.3g", tokens / 1e6) + " M", ""});
  facts.push_back({"Time in steps", duration(seconds), "without evaluation and saving"});
  facts.push_back({"Tokens a second", seconds > 0 ? with_commas(std::llround(tokens / seconds)) : "-", ""});
  for (const auto& [name, value] : run.sessions.empty() ? Session{}.facts : run.sessions.back().facts)
    if (name == "parameters") facts.push_back({"Parameters", value, ""});
  return facts;
}

std::string overview(const std::vector<Run>& runs) {
  if (runs.size() == 1) {
    std::string html;
    for (const Fact& fact : facts_of(runs[0]))
      html += concat("<div><dt>", fact.name, "</dt><dd>", escape(fact.value),
                     fact.more.empty() ? "" : "<small>" + escape(fact.more) + "</small>", "</dd></div>\n");
    return "<dl class=\"facts\">\n" + html + "</dl>\n";
  }
  std::vector<std::string> names;
  for (const Run& run : runs)
    for (const Fact& fact : facts_of(run))
      if (std::find(names.begin(), names.end(), fact.name) == names.end()) names.push_back(fact.name);
  std::string html = "<div class=\"wide\"><table><thead><tr><th>Run</th>";
  for (const std::string& name : names) html += "<th>" + name + "</th>";
  html += "</tr></thead><tbody>\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    html += concat("<tr><th><i class=\"k dot c", i % 6, "\" style=\"display:inline-block\"></i>",
                   escape(runs[i].name), "</th>");
    const std::vector<Fact> facts = facts_of(runs[i]);
    for (const std::string& name : names) {
      const auto fact =
          std::find_if(facts.begin(), facts.end(), [&](const Fact& f) { return f.name == name; });
      html += "<td>" + (fact == facts.end() ? "-" : escape(fact->value)) + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

// One curve a run, out of the columns that `of` takes.
template <class Of>
std::vector<Curve> curves(const std::vector<Run>& runs, const std::string& name, const Of& of) {
  std::vector<Curve> all;
  for (size_t i = 0; i < runs.size(); ++i) {
    Curve curve = of(runs[i].metrics);
    curve.name = runs.size() == 1 ? name : runs[i].name + (name.empty() ? "" : ", " + name);
    curve.colour = i;
    curve.run = static_cast<int>(i);
    if (!curve.x.empty()) all.push_back(std::move(curve));
  }
  return all;
}

bool varies(const std::vector<double>& values) {
  return std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) != values.end();
}

// Cycles are marked where all runs have the same.
std::vector<Mark> cycles(const std::vector<Run>& runs) {
  std::vector<double> ends = visible_cycle_ends(runs[0].metrics.step, runs[0].metrics.lr);
  for (const Run& run : runs)
    if (visible_cycle_ends(run.metrics.step, run.metrics.lr) != ends) return {};
  std::vector<Mark> marks;
  for (size_t i = 0; i < ends.size() && ends.size() <= kMostMarks; ++i)
    marks.push_back({ends[i], ends.size() <= 12 ? concat("cycle ", i + 1) : ""});
  return marks;
}

std::vector<double> tokens_per_second(const RunMetrics& m) {
  std::vector<double> rate;
  for (size_t i = 0; i < m.tokens.size(); ++i) rate.push_back(m.tokens[i] / m.seconds[i]);
  return rate;
}

std::vector<Figure> figures(const std::vector<Run>& runs) {
  const auto noisy = [](Curve curve) {
    curve.noisy = true;
    return curve;
  };
  const auto evaluation = [](const std::vector<double>& x, const std::vector<double>& y) {
    Curve curve = thinned(x, y);
    curve.style = CurveStyle::dotted;
    return curve;
  };
  const std::vector<Mark> marks = cycles(runs);
  std::vector<Figure> figures;
  const auto add = [&](Figure figure) {
    if (!figure.curves.empty()) figures.push_back(std::move(figure));
  };

  Figure loss{.id = "loss", .title = "Loss", .unit = "nats a token", .marks = marks};
  loss.curves = curves(runs, "training", [&](const RunMetrics& m) { return noisy(thinned(m.step, m.loss)); });
  auto validation =
      curves(runs, "validation", [&](const RunMetrics& m) { return evaluation(m.eval_step, m.eval_loss); });
  if (runs.size() == 1)
    for (Curve& curve : validation) curve.colour = 1;
  loss.curves.insert(loss.curves.end(), validation.begin(), validation.end());
  if (std::any_of(loss.curves.begin(), loss.curves.end(), [](const Curve& c) { return !c.low.empty(); }))
    loss.note = "Of many steps the mean is drawn, over a band from the lowest to the highest.";
  add(std::move(loss));

  add({.id = "lr",
       .title = "Learning rate",
       .note = marks.empty() ? "" : "Dotted lines: the ends of cycles.",
       .curves = curves(runs, "", [](const RunMetrics& m) { return pieces(m.step, m.lr); }),
       .marks = marks,
       .from_zero = true});
  const bool moves =
      std::any_of(runs.begin(), runs.end(), [](const Run& r) { return varies(r.metrics.momentum); });
  add({.id = "momentum",
       .title = "Momentum",
       .unit = moves ? "" : "constant",
       .curves = curves(runs, "", [](const RunMetrics& m) { return pieces(m.step, m.momentum); }),
       .marks = marks});
  add({.id = "accuracy",
       .title = "Validation accuracy",
       .unit = "likeliest token right",
       .curves =
           curves(runs, "", [&](const RunMetrics& m) { return evaluation(m.eval_step, m.eval_accuracy); }),
       .marks = marks});
  add({.id = "bits",
       .title = "Validation, bits per character",
       .curves = curves(
           runs, "", [&](const RunMetrics& m) { return evaluation(m.eval_step, m.eval_bits_per_character); }),
       .marks = marks});

  Figure norm{
      .id = "gradients", .title = "Gradient norm", .unit = "before clipping", .marks = marks, .log_y = true};
  norm.curves = curves(runs, "", [&](const RunMetrics& m) { return noisy(thinned(m.step, m.grad_norm)); });
  const auto clip = runs[0].option("clip");
  const bool same_clip =
      std::all_of(runs.begin(), runs.end(), [&](const Run& r) { return r.option("clip") == clip; });
  if (clip && same_clip && std::holds_alternative<double>(*clip) && std::get<double>(*clip) > 0)
    norm.levels.push_back({std::get<double>(*clip), concat("clipped to ", std::get<double>(*clip))});
  add(std::move(norm));

  if (runs.size() == 1) {
    const RunMetrics& m = runs[0].metrics;
    Figure layers{.id = "layers",
                  .title = "Gradient norm by layer",
                  .unit = "before clipping, at evaluations",
                  .marks = marks,
                  .log_y = true};
    for (const auto& [layer, norms] : m.norms) {
      Curve curve = evaluation(m.norm_step, norms);
      curve.name = layer;
      curve.colour = layers.curves.size();
      curve.run = 0;
      if (!curve.x.empty()) layers.curves.push_back(std::move(curve));
    }
    add(std::move(layers));
  }

  add({.id = "throughput",
       .title = "Throughput",
       .unit = "tokens a second",
       .curves = curves(runs, "",
                        [&](const RunMetrics& m) { return noisy(thinned(m.step, tokens_per_second(m))); }),
       .from_zero = true});
  return figures;
}

// What turns steps into time and tokens.
std::string clocks(const std::vector<Run>& runs) {
  std::string json;
  for (const Run& run : runs) {
    const RunMetrics& m = run.metrics;
    std::string step = "0", seconds = "0", tokens = "0";
    double spent = 0, seen = 0;
    const size_t stride = std::max<size_t>(1, m.step.size() / 400);
    for (size_t i = 0; i < m.step.size(); ++i) {
      spent += std::isfinite(m.seconds[i]) ? m.seconds[i] : 0;
      seen += std::isfinite(m.tokens[i]) ? m.tokens[i] : 0;
      if ((i + 1) % stride != 0 && i + 1 != m.step.size()) continue;
      step += "," + json_number(m.step[i]);
      seconds += "," + json_number(spent);
      tokens += "," + json_number(seen);
    }
    json += concat(json.empty() ? "" : ",", "{\"step\":[", step, "],\"seconds\":[", seconds, "],\"tokens\":[",
                   tokens, "]}");
  }
  return "[" + json + "]";
}

// The first, the last, and others evenly between, each with the loss of its evaluation.
std::string samples(const Run& run) {
  const size_t n = run.samples.size(), shown = std::min(n, kMostSamples);
  std::string html;
  for (size_t i = 0; i < shown; ++i) {
    const Sample& sample = run.samples[shown == 1 ? 0 : i * (n - 1) / (shown - 1)];
    const auto& steps = run.metrics.eval_step;
    const auto at = std::find(steps.begin(), steps.end(), static_cast<double>(sample.step));
    std::string loss;
    if (at != steps.end())
      loss = printed("validation loss %.4f", run.metrics.eval_loss[static_cast<size_t>(at - steps.begin())]);
    html += concat("<section><h3>Step ", with_commas(sample.step), " <span>", loss, "</span></h3><pre>",
                   escape(sample.text), "</pre></section>\n");
  }
  return html;
}

std::string all_samples(const std::vector<Run>& runs) {
  std::string html;
  for (const Run& run : runs) {
    if (run.samples.empty()) continue;
    if (runs.size() > 1) html += "<h3>" + escape(run.name) + "</h3>\n";
    html += "<div class=\"samples\">\n" + samples(run) + "</div>\n";
  }
  return html.empty() ? "" : "<h2>What the model wrote</h2>\n" + html;
}

constexpr const char* kTools = R"(<div class="tools js">
<fieldset><legend>Along the bottom&nbsp;</legend>
<label><input type="radio" name="axis" value="step" checked>steps</label>
<label><input type="radio" name="axis" value="seconds">time</label>
<label><input type="radio" name="axis" value="tokens">tokens</label></fieldset>
<label>Smoothing <select id="smoothing"><option value="0">none</option><option value="0.01">light</option>
<option value="0.03" selected>medium</option><option value="0.08">strong</option></select></label>
</div>
)";

}  // namespace

std::string run_page(const std::vector<Run>& runs) {
  std::string names;
  for (const Run& run : runs) names += (names.empty() ? "" : ", ") + run.name;
  const std::string title = (runs.size() == 1 ? "Run " : "Runs ") + names;
  std::string body = concat("<h1>", escape(title), "</h1>\n", overview(runs), "<h2>Curves</h2>\n", kTools);
  for (const Figure& figure : figures(runs)) body += to_html(figure);
  body += all_samples(runs) + configuration(runs) + commands_and_machines(runs);
  return page(title, body, clocks(runs));
}

void write_run_report(const std::filesystem::path& run) {
  write_file_atomically(run / "report.html", run_page(read_runs({run})));
}

}  // namespace galvan::report
