#include "cuda/sim/rewind.h"

#include <algorithm>
#include <cstring>

namespace galvan::sim {

Rewind::Rewind(char* memory, uint8_t* states, size_t bytes)
    : memory_(memory), states_(states), kept_in_(bytes / kPage) {}

void Rewind::begin() {
  ++launch_;
  first_run_ = true;
  pages_.clear();
}

void Rewind::will_write(size_t offset, size_t bytes) {
  for (size_t number = offset / kPage; number <= (offset + bytes - 1) / kPage; ++number) {
    if (kept_in_[number] == launch_) continue;
    kept_in_[number] = launch_;
    pages_.push_back(std::make_unique<Page>());
    Page& page = *pages_.back();
    page.number = number;
    page.later = !first_run_;
    std::memcpy(page.before, at(page), kPage);
    std::memcpy(page.states, states_ + number * kPage, kPage);
  }
}

void Rewind::back_to_the_start() {
  for (const auto& page : pages_) {
    if (first_run_) std::memcpy(page->after, at(*page), kPage);
    std::memcpy(at(*page), page->before, kPage);
    std::memcpy(states_ + page->number * kPage, page->states, kPage);
  }
  first_run_ = false;
}

const char* Rewind::difference() const {
  if (first_run_) return nullptr;
  for (const auto& page : pages_) {
    const char* const now = at(*page);
    const char* const expected = page->later ? page->before : page->after;
    if (const char* differs = std::mismatch(now, now + kPage, expected).first; differs != now + kPage)
      return differs;
  }
  return nullptr;
}

}  // namespace galvan::sim
