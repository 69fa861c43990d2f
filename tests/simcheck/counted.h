// What the launches of a call ask of memory, together.
#pragma once

#include <functional>

#include "card.h"
#include "cuda/sim/counts.h"

namespace galvan {

inline std::vector<sim::Counts> launches_of(const std::function<void(Card&)>& call) {
  sim::start_counting();
  {
    Card card;
    call(card);
    card.contents();
  }
  std::vector<sim::Counts> launches = sim::take_counts();
  CHECK(sim::take_error() == "");
  return launches;
}

inline sim::Counts sum_of(const std::vector<sim::Counts>& launches) {
  sim::Counts all;
  for (const sim::Counts& launch : launches) {
    all.bytes_read += launch.bytes_read, all.bytes_written += launch.bytes_written;
    all.distinct_bytes_read += launch.distinct_bytes_read;
    all.distinct_bytes_written += launch.distinct_bytes_written;
    all.requests += launch.requests, all.sectors += launch.sectors, all.uncoalesced += launch.uncoalesced;
    all.shared_requests += launch.shared_requests, all.shared_transactions += launch.shared_transactions;
    all.bank_conflicts += launch.bank_conflicts;
    all.barriers += launch.barriers;
  }
  return all;
}

inline sim::Counts counts_of(const std::function<void(Card&)>& call) { return sum_of(launches_of(call)); }

}  // namespace galvan
