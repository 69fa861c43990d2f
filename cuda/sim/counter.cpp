#include "cuda/sim/counter.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "cuda/sim/block.h"
#include "cuda/sim/memory.h"

namespace galvan::sim {
namespace {

constexpr uint64_t kSectorBytes = 32, kBanks = 32, kBankBytes = 4;

// n bits from bit `first` on.
uint32_t bits(uint64_t first, uint64_t n) { return static_cast<uint32_t>(((uint64_t{1} << n) - 1) << first); }

// part(sector, first byte in it, number of bytes) for each sector in which [address, address + bytes) has some.
template <class F>
void each_sector(uint64_t address, uint64_t bytes, const F& part) {
  for (const uint64_t end = address + bytes; address < end;) {
    const uint64_t first = address % kSectorBytes, n = std::min(kSectorBytes - first, end - address);
    part(address / kSectorBytes, first, n);
    address += n;
  }
}

void mix(size_t& hash, size_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15u + (hash >> 29); }

}  // namespace

size_t Counter::Hash::operator()(const Instruction& at) const {
  size_t hash = reinterpret_cast<uintptr_t>(at.code);
  mix(hash, static_cast<size_t>(at.who));
  mix(hash, at.meetings);
  mix(hash, static_cast<size_t>(at.kind) * 2 + at.shared);
  return hash;
}

size_t Counter::Hash::operator()(const Request& request) const {
  size_t hash = (*this)(request.at);
  mix(hash, request.number);
  return hash;
}

Counter::Counter(const Operation& operation) : threads_(1024) {
  counts_.kernel = operation.name;
  counts_.grid = operation.grid;
  counts_.block = operation.block;
}

void Counter::begin_block() {
  serve_all();
  std::fill(threads_.begin(), threads_.end(), Thread{});
}

void Counter::one_access(int thread, uint32_t meetings, uint64_t address, size_t bytes, const void* code) {
  Thread& t = threads_[static_cast<size_t>(thread)];
  const uint32_t number = made_[{code, thread, meetings, Access::read, false}]++;
  t.announced[t.next++ % kAnnouncedKept] = {address, bytes, code, meetings, number};
}

// What the access is a part of; null: nothing announced. Bytes that it has had already are another instruction's.
Counter::Announced* Counter::announced_with(int thread, uint32_t meetings, uint64_t address, size_t bytes,
                                            Access kind) {
  Thread& t = threads_[static_cast<size_t>(thread)];
  for (size_t back = 1; back <= kAnnouncedKept; ++back) {
    Announced& candidate = t.announced[(t.next + kAnnouncedKept - back) % kAnnouncedKept];
    if (address < candidate.address || address + bytes > candidate.address + candidate.bytes) continue;
    const uint32_t mine = bits(address - candidate.address, bytes);
    uint32_t& seen = kind == Access::read ? candidate.read : candidate.written;
    if (candidate.meetings != meetings || (seen & mine)) continue;
    seen |= mine;
    return &candidate;
  }
  return nullptr;
}

void Counter::access(bool shared, int thread, uint32_t meetings, uint64_t address, size_t bytes, Access kind,
                     const void* code) {
  const int warp = thread / kWarpSize, lane = thread % kWarpSize;
  uint32_t number;
  if (const Announced* whole = announced_with(thread, meetings, address, bytes, kind)) {
    code = whole->code;
    number = whole->number;
  } else {
    number = made_[{code, thread, meetings, kind, shared}]++;
  }
  waiting_[{{code, warp, meetings, kind, shared}, number}].push_back({lane, address, bytes});
  if (shared) return;
  each_sector(address, bytes, [&](uint64_t at, uint64_t first, uint64_t n) {
    Sector& sector = touched_[at];
    if (kind != Access::write) sector.read |= bits(first, n) & ~sector.written;
    if (kind != Access::read) sector.written |= bits(first, n);
  });
}

void Counter::barrier(int threads) {
  counts_.barriers += static_cast<uint64_t>((threads + kWarpSize - 1) / kWarpSize);
  serve_all();
}

void Counter::serve_all() {
  for (const auto& [request, parts] : waiting_)
    request.at.shared ? serve_shared(parts) : serve_global(parts, request.at.kind);
  waiting_.clear();
  made_.clear();
}

void Counter::serve_global(const std::vector<Part>& parts, Access kind) {
  std::unordered_map<uint64_t, uint32_t> sectors;
  for (const Part& part : parts)
    each_sector(part.address, part.bytes,
                [&](uint64_t at, uint64_t first, uint64_t n) { sectors[at] |= bits(first, n); });
  uint64_t distinct = 0;
  for (const auto& [at, bytes] : sectors) distinct += static_cast<uint64_t>(std::popcount(bytes));
  if (kind != Access::write) counts_.bytes_read += distinct;
  if (kind != Access::read) counts_.bytes_written += distinct;
  ++counts_.requests;
  counts_.sectors += sectors.size();
  counts_.uncoalesced += sectors.size() >= (distinct + kSectorBytes - 1) / kSectorBytes + 2;
}

void Counter::serve_shared(const std::vector<Part>& parts) {
  ++counts_.shared_requests;
  // A lane's bytes are together however many accesses the host's compiler has made of them.
  std::array<uint64_t, kWarpSize> of_lane{};
  for (const Part& part : parts) of_lane[static_cast<size_t>(part.lane)] += part.bytes;
  const uint64_t widest = *std::max_element(of_lane.begin(), of_lane.end());
  const int lanes = static_cast<int>(std::clamp<uint64_t>(kWarpSize * kBankBytes / widest, 1, kWarpSize));
  for (int first = 0; first < kWarpSize; first += lanes) {
    std::vector<uint64_t> words;
    for (const Part& part : parts) {
      if (part.lane < first || part.lane >= first + lanes) continue;
      for (uint64_t word = part.address / kBankBytes; word * kBankBytes < part.address + part.bytes; ++word)
        words.push_back(word);
    }
    if (words.empty()) continue;
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    std::array<uint64_t, kBanks> in_bank{};
    for (const uint64_t word : words) ++in_bank[word % kBanks];
    const uint64_t transactions = *std::max_element(in_bank.begin(), in_bank.end());
    counts_.shared_transactions += transactions;
    counts_.bank_conflicts += transactions - 1;
  }
}

Counts Counter::counts() {
  serve_all();
  for (const auto& [at, sector] : touched_) {
    counts_.distinct_bytes_read += static_cast<uint64_t>(std::popcount(sector.read));
    counts_.distinct_bytes_written += static_cast<uint64_t>(std::popcount(sector.written));
  }
  return counts_;
}

Counting& Counting::of_launches() {
  static Counting counting;
  return counting;
}

std::vector<Counts> Counting::take() {
  wanted_ = false;
  return std::exchange(done_, {});
}

void Counting::begin(const Operation& operation) {
  counter_.reset();  // of a launch that has failed
  if (wanted_) counter_.emplace(operation);
}

void Counting::begin_block(const void* shared) {
  shared_ = static_cast<const char*>(shared);
  if (counter_) counter_->begin_block();
}

uint64_t Counting::place_of(const void* address) const {
  if (!Block::current()->in_shared(address)) return reinterpret_cast<uintptr_t>(address);
  return (uint64_t{1} << 63) + static_cast<uint64_t>(static_cast<const char*>(address) - shared_);
}

void Counting::one_access(const void* address, size_t bytes, const void* code) {
  if (!counter_) return;
  const Block& block = *Block::current();
  if (!block.owns_stack(address))
    counter_->one_access(block.thread(), block.meetings(), place_of(address), bytes, code);
}

void Counting::access(const void* address, size_t bytes, Access kind, const void* code) {
  if (!counter_) return;
  const Block& block = *Block::current();
  const bool shared = block.in_shared(address);
  if (shared || is_device_address(address))
    counter_->access(shared, block.thread(), block.meetings(), place_of(address), bytes, kind, code);
}

void Counting::barrier() {
  if (counter_) counter_->barrier(Block::current()->threads());
}
void Counting::warp_barrier() {
  if (counter_) counter_->warp_barrier();
}

void Counting::end() {
  if (counter_) done_.push_back(counter_->counts());
  counter_.reset();
}

void start_counting() { Counting::of_launches().start(); }
std::vector<Counts> take_counts() { return Counting::of_launches().take(); }

}  // namespace galvan::sim
