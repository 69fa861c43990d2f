#include "core/replay.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#ifdef GALVAN_CUDA
#include "core/cuda_backend.h"
#endif

namespace galvan {
namespace {

thread_local ReplayGroup::Member* member_of_thread = nullptr;

}  // namespace

#ifdef GALVAN_CUDA

struct Replay::Recording {
  std::unique_ptr<cuda_backend::Graph> graph;                 // replayed by itself
  std::shared_ptr<const cuda_backend::Recording> operations;  // replayed by a group
};

void Replay::run(const std::function<void()>& body, int64_t times) {
  if (!device_.is_cpu() && record_ && member_of_thread) return member_of_thread->run(*this, body, times);
  for (; times > 0; --times) {
    if (device_.is_cpu()) {
      body();
      continue;
    }
    if (!recording_->graph) {
      const MemoryPool::Use guard(pool_);
      if (!record_ || !has_run_) {
        body();
        has_run_ = true;
        continue;
      }
      recording_->graph = std::make_unique<cuda_backend::Graph>(cuda_backend::capture(device_, body));
    }
    recording_->graph->launch();
  }
}

std::vector<std::string> Replay::operations() const {
  return recording_->graph ? recording_->graph->operations() : std::vector<std::string>();
}

// A graph, and what it was made of: the recordings are kept, so that no other has their address.
struct ReplayGroup::Joint {
  std::vector<std::shared_ptr<const cuda_backend::Recording>> recordings;
  cuda_backend::Graph graph;
};

void ReplayGroup::Member::run(Replay& replay, const std::function<void()>& body, int64_t times) {
  if (times <= 0) return;
  if (!replay.recording_->operations) {
    const MemoryPool::Use guard(replay.pool_);
    if (!replay.has_run_) {
      cuda_backend::run_once(body);
      replay.has_run_ = true;
      if (--times == 0) return;
    }
    replay.recording_->operations = cuda_backend::record(body);
  }
  std::unique_lock lock(group_.mutex_);
  replay_ = &replay;
  times_ = times;
  error_ = nullptr;
  end_turn();
  take_turn(lock);
  if (error_) std::rethrow_exception(error_);
}

// All members wait. Those that wait for the same are replayed until one of each kind has had its share.
void ReplayGroup::replay_all() {
  std::vector<Member*> waiting = members_;
  while (!waiting.empty()) {
    const auto kind = [](const Member* member) -> const cuda_backend::Recording& {
      return *member->replay_->recording_->operations;
    };
    const auto others = std::stable_partition(waiting.begin(), waiting.end(), [&](const Member* member) {
      return cuda_backend::match(kind(waiting[0]), kind(member));
    });
    replay_together({waiting.begin(), others});
    waiting.erase(waiting.begin(), others);
  }
}

void ReplayGroup::replay_together(const std::vector<Member*>& members) {
  constexpr size_t kMostJoints = 8;
  int64_t times = members[0]->times_;
  std::vector<std::shared_ptr<const cuda_backend::Recording>> recordings;
  for (const Member* member : members) {
    times = std::min(times, member->times_);
    recordings.push_back(member->replay_->recording_->operations);
  }
  std::exception_ptr error;
  try {
    const auto known = std::find_if(joints_.begin(), joints_.end(),
                                    [&](const auto& joint) { return joint->recordings == recordings; });
    if (known != joints_.end()) {
      std::rotate(known, known + 1, joints_.end());
    } else {
      if (joints_.size() == kMostJoints) joints_.erase(joints_.begin());
      cuda_backend::Graph graph = cuda_backend::join(device_, recordings);
      joints_.push_back(std::unique_ptr<Joint>(new Joint{std::move(recordings), std::move(graph)}));
    }
    for (int64_t i = 0; i < times; ++i) joints_.back()->graph.launch();
  } catch (...) {
    error = std::current_exception();
  }
  for (Member* member : members) {
    member->times_ = error ? 0 : member->times_ - times;
    member->error_ = error;
    if (member->times_ == 0) member->replay_ = nullptr;
  }
}

std::vector<std::string> ReplayGroup::operations() const {
  const std::lock_guard lock(mutex_);
  return joints_.empty() ? std::vector<std::string>() : joints_.back()->graph.operations();
}

#else

struct Replay::Recording {};
struct ReplayGroup::Joint {};

void Replay::run(const std::function<void()>& body, int64_t times) {
  for (; times > 0; --times) body();
}

std::vector<std::string> Replay::operations() const { return {}; }
std::vector<std::string> ReplayGroup::operations() const { return {}; }
void ReplayGroup::replay_all() {}

#endif

Replay::Replay(Device device, bool record)
    : device_(device), record_(record), pool_(device), recording_(std::make_unique<Recording>()) {}

Replay::~Replay() = default;

ReplayGroup::ReplayGroup(Device device, int64_t places) : device_(device), memory_(device, places) {}

ReplayGroup::~ReplayGroup() = default;

ReplayGroup::Member::Member(ReplayGroup& group) : group_(group) {
  check(!member_of_thread, "replay: this thread is a member of a group already");
  std::unique_lock lock(group_.mutex_);
  auto before = group_.members_.begin();  // this one comes behind
  for (int64_t place = 0; place < group_.memory_.replicas(); ++place, ++before)
    if (before == group_.members_.end() || (*before)->place_ != place) {
      place_ = place;
      break;
    }
  group_.members_.insert(place_ < 0 ? group_.members_.end() : before, this);
  member_of_thread = this;
  take_turn(lock);
}

ReplayGroup::Member::~Member() {
  const std::lock_guard lock(group_.mutex_);
  member_of_thread = nullptr;
  std::erase(group_.members_, this);
  end_turn();
}

void ReplayGroup::Member::take_turn(std::unique_lock<std::mutex>& lock) {
  group_.changed_.wait(lock, [&] { return !group_.at_work_ && !replay_; });
  group_.at_work_ = this;
  if (place_ >= 0) memory_ = std::make_unique<ReplicaMemory::Use>(group_.memory_, place_);
}

void ReplayGroup::Member::end_turn() {
  memory_.reset();
  group_.at_work_ = nullptr;
  const bool all_wait = std::all_of(group_.members_.begin(), group_.members_.end(),
                                    [](const Member* member) { return member->replay_ != nullptr; });
  if (all_wait && !group_.members_.empty()) group_.replay_all();
  group_.changed_.notify_all();
}

}  // namespace galvan
