#include "core/variants.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/check.h"

namespace galvan {
namespace {

std::vector<Variants*>& registry() {
  static std::vector<Variants*> all;
  return all;
}

bool has(const Variants& variants, std::string_view name) {
  return std::any_of(variants.all().begin(), variants.all().end(),
                     [&](const Variant& v) { return v.name == name; });
}

// "a, b, c", each once.
class Listing {
 public:
  void add(std::string_view name) {
    if (std::find(names_.begin(), names_.end(), name) != names_.end()) return;
    names_.push_back(name);
    text_ += (text_.empty() ? "" : ", ") + std::string(name);
  }
  const std::string& text() const { return text_; }

 private:
  std::vector<std::string_view> names_;
  std::string text_;
};

}  // namespace

Variants::Variants(std::string_view kernel, std::string_view device, std::initializer_list<Variant> all,
                   Passes passes)
    : kernel_(kernel), device_(device), all_(all), passes_(passes) {
  registry().push_back(this);
}

void Variants::choose(std::string_view name) {
  const auto found =
      std::find_if(all_.begin(), all_.end(), [&](const Variant& variant) { return variant.name == name; });
  if (found == all_.end()) {
    Listing names;
    for (const Variant& variant : all_) names.add(variant.name);
    fail(kernel_, " on ", device_, ": there is no '", name, "', only ", names.text());
  }
  chosen_.store(static_cast<size_t>(found - all_.begin()), std::memory_order_relaxed);
}

std::vector<Variants*> all_variants() {
  std::vector<Variants*> all = registry();
  std::sort(all.begin(), all.end(), [](const Variants* a, const Variants* b) {
    return std::tuple(a->device(), a->kernel()) < std::tuple(b->device(), b->kernel());
  });
  return all;
}

Variants& variants_of(std::string_view kernel, std::string_view device) {
  for (Variants* const variants : registry())
    if (variants->kernel() == kernel && variants->device() == device) return *variants;
  fail("there are no versions of '", kernel, "' on ", device);
}

void choose_variants(std::string_view text, std::string_view device) {
  const std::string where = device.empty() ? "" : concat(" on ", device);
  std::vector<std::pair<Variants*, std::string_view>> chosen;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const size_t equals = one.find('=');
    check(equals != one.npos, "expected KERNEL=VERSION, such as matmul=naive, got '", one, "'");
    const std::string_view kernel = one.substr(0, equals), version = one.substr(equals + 1);
    Listing kernels, versions;
    const size_t before = chosen.size();
    for (Variants* variants : all_variants()) {
      if (!device.empty() && variants->device() != device) continue;
      kernels.add(variants->kernel());
      if (variants->kernel() != kernel) continue;
      for (const Variant& variant : variants->all()) versions.add(variant.name);
      if (has(*variants, version)) chosen.emplace_back(variants, version);
    }
    if (chosen.size() > before) continue;
    check(!versions.text().empty(), "there is no choice of '", kernel, "'", where, "; there is of ",
          kernels.text());
    fail(kernel, ": there is no '", version, "'", where, ", only ", versions.text());
  }
  for (const auto& [variants, version] : chosen) variants->choose(version);
}

}  // namespace galvan
