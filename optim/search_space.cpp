#include "optim/search_space.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "core/check.h"

namespace galvan {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

void check_range(const Parameter& p) {
  const auto check_ends = [&](double low, double high) {
    check(std::isfinite(low) && std::isfinite(high), p.name, ": the ends of a range are finite numbers");
    check(low < high, p.name, ": the low end ", low, " is not below the high end ", high);
  };
  std::visit(Overloaded{
                 [&](const Choice& choice) {
                   check(!choice.values.empty(), p.name, ": a choice of nothing");
                   for (size_t i = 0; i < choice.values.size(); ++i)
                     for (size_t j = 0; j < i; ++j)
                       check(choice.values[i] != choice.values[j], p.name, ": the choice ",
                             to_text(choice.values[i]), " is there twice");
                 },
                 [&](const IntRange& range) {
                   constexpr int64_t kMost = int64_t{1} << 53;  // whole numbers that a double holds
                   check(range.low >= -kMost && range.high <= kMost, p.name,
                         ": the ends of a range of whole numbers are at most 2^53");
                   check(range.low < range.high, p.name, ": the low end ", range.low,
                         " is not below the high end ", range.high);
                   check(range.step > 0, p.name, ": the step ", range.step, " is not above 0");
                   check(range.step <= range.high - range.low, p.name, ": the step ", range.step,
                         " is longer than the range");
                 },
                 [&](const Uniform& range) { check_ends(range.low, range.high); },
                 [&](const LogUniform& range) {
                   check_ends(range.low, range.high);
                   check(range.low > 0, p.name, ": the low end ", range.low,
                         " is not above 0, which a logarithm needs");
                 },
             },
             p.range);
  check(p.grid_points == 0 || p.grid_points >= 2, p.name, ": a grid of ", p.grid_points,
        " points does not have both ends");
  check(p.grid_points == 0 || !count_values(p.range), p.name,
        ": grid points are for continuous ranges; this has its own values");
}

bool can_be(const ParameterRange& range, const ParameterValue& value) {
  if (const auto* choice = std::get_if<Choice>(&range))
    return std::find(choice->values.begin(), choice->values.end(), value) != choice->values.end();
  if (const auto* whole = std::get_if<IntRange>(&range)) {
    const auto* n = std::get_if<int64_t>(&value);
    return n && *n >= whole->low && *n <= whole->high && (*n - whole->low) % whole->step == 0;
  }
  return false;  // a continuous range has no value that it is worth to wait for
}

int64_t grid_axis(const Parameter& p) {
  if (const auto count = count_values(p.range)) return *count;
  check(p.grid_points > 0, p.name, ": a grid needs to know how many points this range has");
  return p.grid_points;
}

ParameterValue grid_value(const Parameter& p, int64_t i) {
  if (const auto* choice = std::get_if<Choice>(&p.range)) return choice->values[static_cast<size_t>(i)];
  if (const auto* whole = std::get_if<IntRange>(&p.range)) return whole->low + i * whole->step;
  const double u = static_cast<double>(i) / static_cast<double>(p.grid_points - 1);
  if (const auto* uniform = std::get_if<Uniform>(&p.range))
    return u == 1 ? uniform->high : uniform->low + u * (uniform->high - uniform->low);
  const auto& log = std::get<LogUniform>(p.range);
  return i == 0 ? log.low : u == 1 ? log.high : log.low * std::pow(log.high / log.low, u);
}

}  // namespace

std::string to_text(const ParameterValue& value) {
  return std::visit(Overloaded{[](bool flag) { return std::string(flag ? "true" : "false"); },
                               [](int64_t whole) { return std::to_string(whole); },
                               [](double real) {
                                 char digits[40];
                                 return std::string(digits,
                                                    std::to_chars(digits, digits + sizeof digits, real).ptr);
                               },
                               [](const std::string& text) { return text; }},
                    value);
}

std::optional<int64_t> count_values(const ParameterRange& range) {
  if (const auto* choice = std::get_if<Choice>(&range)) return static_cast<int64_t>(choice->values.size());
  if (const auto* whole = std::get_if<IntRange>(&range)) return (whole->high - whole->low) / whole->step + 1;
  return {};
}

ParameterValue value_at(const ParameterRange& range, double u) {
  if (const auto count = count_values(range)) {
    const int64_t i = std::min(*count - 1, static_cast<int64_t>(u * static_cast<double>(*count)));
    return grid_value({.name = {}, .range = range}, i);
  }
  if (const auto* uniform = std::get_if<Uniform>(&range))
    return std::min(uniform->high, uniform->low + u * (uniform->high - uniform->low));
  const auto& log = std::get<LogUniform>(range);
  return std::clamp(std::exp(std::log(log.low) + u * std::log(log.high / log.low)), log.low, log.high);
}

double SearchSpace::position(const ParameterRange& range, const ParameterValue& value) {
  const auto middle = [](int64_t i, int64_t n) {
    return (static_cast<double>(i) + 0.5) / static_cast<double>(n);
  };
  if (const auto* choice = std::get_if<Choice>(&range)) {
    const auto found = std::find(choice->values.begin(), choice->values.end(), value);
    check(found != choice->values.end(), to_text(value), " is none of the choices");
    return middle(found - choice->values.begin(), static_cast<int64_t>(choice->values.size()));
  }
  if (const auto* whole = std::get_if<IntRange>(&range))
    return middle((std::get<int64_t>(value) - whole->low) / whole->step, *count_values(range));
  const double x = std::get<double>(value);
  if (const auto* uniform = std::get_if<Uniform>(&range))
    return (x - uniform->low) / (uniform->high - uniform->low);
  const auto& log = std::get<LogUniform>(range);
  return std::log(x / log.low) / std::log(log.high / log.low);
}

SearchSpace::SearchSpace(std::vector<Parameter> parameters) {
  check(!parameters.empty(), "a search varies at least one parameter");
  std::sort(parameters.begin(), parameters.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (size_t i = 0; i < parameters.size(); ++i) {
    check(i == 0 || parameters[i - 1].name != parameters[i].name, parameters[i].name, ": is there twice");
    check_range(parameters[i]);
  }
  for (const Parameter& p : parameters) {
    if (!p.when) continue;
    const auto on = std::find_if(parameters.begin(), parameters.end(),
                                 [&](const Parameter& other) { return other.name == p.when->parameter; });
    check(on != parameters.end(), p.name, ": its condition is on '", p.when->parameter,
          "', which is not a parameter of this search");
    check(!p.when->values.empty(), p.name, ": its condition names no value");
    for (const ParameterValue& value : p.when->values)
      check(can_be(on->range, value), p.name, ": its condition waits for ", p.when->parameter, " = ",
            to_text(value), ", which it never is");
  }
  std::set<std::string> placed;
  while (parameters_.size() < parameters.size()) {
    const size_t before = parameters_.size();
    for (const Parameter& p : parameters)
      if (!placed.contains(p.name) && (!p.when || placed.contains(p.when->parameter))) {
        parameters_.push_back(p);
        placed.insert(p.name);
      }
    if (parameters_.size() > before) continue;
    for (const Parameter& p : parameters)
      check(placed.contains(p.name), p.name, ": its condition depends on itself");
  }
}

bool SearchSpace::exists(const Parameter& parameter, const Point& point) const {
  if (!parameter.when) return true;
  const auto found = point.find(parameter.when->parameter);
  const auto& values = parameter.when->values;
  return found != point.end() && std::find(values.begin(), values.end(), found->second) != values.end();
}

Point SearchSpace::at(const std::vector<double>& u) const {
  Point point;
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (exists(parameters_[i], point)) point[parameters_[i].name] = value_at(parameters_[i].range, u[i]);
  return point;
}

// The conditions make a forest: the points under a parameter are those of its values, and under each value those of the
// parameters that wait for it, one for each of theirs.

std::vector<size_t> SearchSpace::roots() const {
  std::vector<size_t> found;
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (!parameters_[i].when) found.push_back(i);
  return found;
}

std::vector<size_t> SearchSpace::children(size_t parameter, const ParameterValue& value) const {
  std::vector<size_t> found;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto& when = parameters_[i].when;
    if (when && when->parameter == parameters_[parameter].name &&
        std::find(when->values.begin(), when->values.end(), value) != when->values.end())
      found.push_back(i);
  }
  return found;
}

double SearchSpace::grid_size(size_t parameter) const {
  const Parameter& p = parameters_[parameter];
  const int64_t n = grid_axis(p);
  // Without a condition on it, every value has one point; the values of a long range are not gone through for that.
  if (std::none_of(parameters_.begin(), parameters_.end(),
                   [&](const Parameter& q) { return q.when && q.when->parameter == p.name; }))
    return static_cast<double>(n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    double product = 1;
    for (const size_t child : children(parameter, grid_value(p, i))) product *= grid_size(child);
    sum += product;
  }
  return sum;
}

double SearchSpace::grid_size() const {
  double product = 1;
  for (const size_t root : roots()) product *= grid_size(root);
  return product;
}

void SearchSpace::grid_point(size_t parameter, int64_t index, Point& point) const {
  const Parameter& p = parameters_[parameter];
  for (int64_t i = 0;; ++i) {
    const ParameterValue value = grid_value(p, i);
    const std::vector<size_t> waiting = children(parameter, value);
    int64_t count = 1;
    for (const size_t child : waiting) count *= static_cast<int64_t>(grid_size(child));
    if (index >= count) {
      index -= count;
      continue;
    }
    point[p.name] = value;
    for (const size_t child : waiting) {
      const auto n = static_cast<int64_t>(grid_size(child));
      grid_point(child, index % n, point);
      index /= n;
    }
    return;
  }
}

Point SearchSpace::grid_point(int64_t index) const {
  Point point;
  for (const size_t root : roots()) {
    const auto n = static_cast<int64_t>(grid_size(root));
    grid_point(root, index % n, point);
    index /= n;
  }
  return point;
}

}  // namespace galvan
