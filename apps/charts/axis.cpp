#include "apps/charts/axis.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "apps/charts/charts.h"
#include "core/check.h"

namespace galvan::charts {
namespace {

// The step of 1, 2 or 5 times a power of ten that gives about `wanted` ticks. Halves keep the widest range
// finite.
double nice_step(double low, double high, int wanted) {
  const double raw = 2 * ((high / 2 - low / 2) / wanted);
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double multiple = raw / power;
  const double step = power * (multiple <= 1.2 ? 1 : multiple <= 2.4 ? 2 : multiple <= 6 ? 5 : 10);
  return std::isfinite(step) ? step : power;
}

constexpr double kTiny = 1e-290;  // what is smaller is 0: its steps and halves would vanish

bool is_whole(double value) { return value == std::floor(value); }

// 1.500e-05 -> 1.5e-5
std::string tidy_exponent(std::string text) {
  const size_t e = text.find('e');
  std::string mantissa = text.substr(0, e);
  if (mantissa.find('.') != std::string::npos) {
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    if (mantissa.back() == '.') mantissa.pop_back();
  }
  return mantissa + "e" + std::to_string(std::stoi(text.substr(e + 1)));
}

template <class... Values>
std::string print(const char* format, Values... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

}  // namespace

std::string tick_label(double value, double step) {
  if (value == 0 || std::abs(value) < step * 1e-6) return "0";
  const int value_power = static_cast<int>(std::floor(std::log10(std::abs(value)) + 1e-9));
  const int step_power = static_cast<int>(std::floor(std::log10(step) + 1e-9));
  const int decimals = std::max(0, -step_power);
  if (value_power >= -4 && value_power < 6 && decimals <= 6) return print("%.*f", decimals, value);
  return tidy_exponent(print("%.*e", std::clamp(value_power - step_power, 0, 15), value));
}

Axis::Axis(const std::vector<double>& values, bool logarithmic, bool round, int wanted)
    : logarithmic_(logarithmic) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  bool whole = true;
  for (const double value : values) {
    if (!shows(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
    whole = whole && is_whole(value);
  }
  if (low > high) low = logarithmic ? 0.1 : 0, high = 1, whole = false;  // nothing to show
  if (logarithmic)
    make_logarithmic(low, high, round, wanted);
  else
    make_linear(low, high, round, wanted, whole ? 1 : 0);
}

bool Axis::shows(double value) const { return std::isfinite(value) && (!logarithmic_ || value > 0); }

double Axis::at(double value) const {
  if (logarithmic_) value = std::log10(value);
  return (value / 2 - low_ / 2) / (high_ / 2 - low_ / 2);
}

void Axis::make_linear(double low, double high, bool round, int wanted, double least_step) {
  const double size = std::max(std::abs(low), std::abs(high));
  if (high / 2 - low / 2 <= std::max(size * 1e-12, kTiny)) {  // all the same: as good as a point
    const double margin = size <= kTiny * 4 ? 1 : std::max(size / 2, least_step);
    low = std::max(low - margin, std::numeric_limits<double>::lowest());
    high = std::min(high + margin, std::numeric_limits<double>::max());
  }
  const double step = std::max(nice_step(low, high, wanted), least_step);
  double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  if (round) {
    first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
    if (std::isfinite(first * step)) low = std::min(low, first * step);
    if (std::isfinite(last * step)) high = std::max(high, last * step);
  }
  // Steps 0 to 2999 may as well end at 3000.
  if (const double next = (last + 1) * step; !round && next / 2 - high / 2 <= 0.005 * (high / 2 - low / 2))
    high = next, ++last;
  low_ = low, high_ = high;
  for (double i = first; i <= last; ++i)
    if (std::isfinite(i * step) && i * step >= low - step * 1e-6 && i * step <= high + step * 1e-6)
      ticks_.push_back({at(i * step), tick_label(i * step, step)});
}

void Axis::make_logarithmic(double low, double high, bool round, int wanted) {
  low_ = std::log10(low), high_ = std::log10(high);
  if (high_ - low_ < 1e-9) low_ -= 0.5, high_ += 0.5;
  // Whole decades where there are enough of them, else 1, 2 and 5 of each.
  const double decades = high_ - low_;
  const double stride = std::max(1.0, std::ceil(decades / (wanted + 1)));
  if (round && decades >= 1) low_ = std::floor(low_ + 1e-9), high_ = std::ceil(high_ - 1e-9);
  const bool fine = decades < 2.5;
  for (double decade = std::floor(low_); decade <= high_ + 1e-9; decade += fine ? 1 : stride)
    for (const double multiple : {1.0, 2.0, 5.0}) {
      const double power = decade + std::log10(multiple);
      if ((multiple != 1 && !fine) || power < low_ - 1e-9 || power > high_ + 1e-9) continue;
      const double value = multiple * std::pow(10.0, decade);
      if (value < kTiny || !std::isfinite(value)) continue;
      ticks_.push_back({(power - low_) / (high_ - low_), tick_label(value, std::pow(10.0, decade))});
    }
  if (ticks_.size() >= 2) return;
  // Less than that between two of those: the ticks of a linear axis, at their logarithms.
  ticks_.clear();
  double from = std::pow(10.0, low_), to = std::pow(10.0, high_);
  const double step = nice_step(from, to, wanted);
  if (round) {
    if (const double below = std::floor(from / step) * step; below > 0) low_ = std::log10(from = below);
    high_ = std::log10(to = std::ceil(to / step) * step);
  }
  for (double i = std::ceil(from / step - 1e-9); i * step <= to * (1 + 1e-12); ++i)
    if (i > 0) ticks_.push_back({at(i * step), tick_label(i * step, step)});
}

double x_of(const Series& series, size_t i) {
  return series.x.empty() ? static_cast<double>(i) : series.x[i];
}

Axes axes_of(const Chart& chart, int x_ticks, int y_ticks) {
  std::vector<double> x, y;
  for (const Series& series : chart.series) {
    check(series.x.empty() || series.x.size() == series.y.size(), "chart: series \"", series.name, "\" has ",
          series.x.size(), " x and ", series.y.size(), " y");
    for (size_t i = 0; i < series.y.size(); ++i) {
      const double at = x_of(series, i), value = series.y[i];
      const bool drawn = std::isfinite(at) && std::isfinite(value) && !(chart.log_x && at <= 0) &&
                         !(chart.log_y && value <= 0);
      if (drawn) x.push_back(at), y.push_back(value);
    }
  }
  return {.x = Axis(x, chart.log_x, false, x_ticks), .y = Axis(y, chart.log_y, true, y_ticks)};
}

}  // namespace galvan::charts
