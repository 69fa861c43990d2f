#include "cuda/sim/place.h"

#include <filesystem>
#include <string_view>

#include "core/check.h"

namespace galvan::sim {

std::string short_path(std::string path) {
  path = std::filesystem::path(path).lexically_normal().string();
  for (const std::string_view folder :
       {GALVAN_SOURCE_DIR "/", "../"})  // a compiler's cache makes it relative
    while (path.starts_with(folder)) path.erase(0, folder.size());
  return path;
}

std::string Place::text() const { return concat(short_path(file), ":", line); }

}  // namespace galvan::sim
