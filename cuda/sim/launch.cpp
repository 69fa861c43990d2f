#include "cuda/sim/launch.h"

#include <algorithm>
#include <utility>

#include "core/profile.h"
#include "cuda/sim/launch_log.h"
#include "cuda/sim/limits.h"
#include "cuda/sim/timeline.h"

namespace galvan::sim {

std::string short_kernel_name(std::string_view pretty_function) {
  const std::string_view before = "kKernel = ";
  const size_t begin = pretty_function.find(before) + before.size();
  const size_t end = std::min(pretty_function.find("; ", begin), pretty_function.rfind(']'));
  std::string name(pretty_function.substr(begin, end - begin));
  for (const std::string_view noise : {"galvan::", "{anonymous}::", "<unnamed>::", "(anonymous namespace)::"})
    for (size_t at; (at = name.find(noise)) != name.npos;) name.erase(at, noise.size());
  // A body's name (cuda/replicas.h) is its kernel's first argument: up to the comma behind the body's own arguments.
  for (const std::string_view wrapper :
       {"of_one<", "of_one_bounded<", "of_replicas<", "of_replicas_bounded<"})
    if (const size_t at = name.find(wrapper); at <= 1) {
      int depth = 0;
      size_t last = at + wrapper.size();
      for (; last < name.size() && (depth > 0 || name[last] != ','); ++last)
        depth += name[last] == '<' ? 1 : name[last] == '>' ? -1 : 0;
      name = name.substr(at + wrapper.size(), last - at - wrapper.size());
    }
  if (name.starts_with('&')) name.erase(0, 1);
  return name;
}

void enqueue(const Launch& launch, cudaStream_t stream, std::function<void()> body) {
  if (profile::t_listener) profile::t_listener->launches(launch.kernel);
  const std::lock_guard lock(the_lock);
  check_limits(launch, register_table());
  log_launch(launch);
  const uint64_t blocks = uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  Launch watched = launch;
  watched.watch = watching();
  const auto work = [launch = watched, blocks, body = std::move(body)](Operation operation) {
    const auto run_block = [&](int64_t block) {
      thread_local Block engine;
      const unsigned b = static_cast<unsigned>(block), x = launch.grid.x, y = launch.grid.y;
      engine.run(launch, {b % x, b / x % y, b / (x * y)}, body);
    };
    if (!launch.watch) return parallel_for(static_cast<int64_t>(blocks), run_block);
    operation.name = launch.kernel;
    operation.grid = launch.grid;
    operation.block = launch.block;
    launch.watch->launch(operation, [&] {
      for (const int block : turns(static_cast<int>(blocks))) run_block(block);
    });
  };
  append(stream, cudaGraphNodeTypeKernel, work, launch.kernel);
}

cudaError_t enqueue(cudaStream_t stream, std::function<void(const Operation&)> work) {
  const std::lock_guard lock(the_lock);
  return append(stream, cudaGraphNodeTypeKernel, std::move(work));
}

}  // namespace galvan::sim
