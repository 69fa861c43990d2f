#include "cuda/sim/shadow.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/check.h"

namespace galvan::sim {

LazyPages::LazyPages(size_t bytes)
    : data_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
      bytes_(bytes) {
  check(data_ != MAP_FAILED, "simulator: the system gives no addresses for the checker's ", bytes, " bytes");
}

LazyPages::~LazyPages() { munmap(data_, bytes_); }

void LazyPages::clear(size_t offset, size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), end = offset + bytes;
  const size_t first = std::min((offset + page - 1) / page * page, end),
               last = std::max(first, end / page * page);
  char* const data = static_cast<char*>(data_);
  std::memset(data + offset, 0, first - offset);
  madvise(data + first, last - first, MADV_DONTNEED);
  std::memset(data + last, 0, end - last);
}

Shadow::Shadow(size_t bytes)
    : states_(bytes), words_(bytes / kWord * sizeof(History)), bytes_(bytes * sizeof(History)) {}

void Shadow::forget_histories(size_t offset, size_t bytes) {
  const size_t first = offset / kWord, last = (offset + bytes + kWord - 1) / kWord;
  words_.clear(first * sizeof(History), (last - first) * sizeof(History));
  bytes_.clear(first * kWord * sizeof(History), (last - first) * kWord * sizeof(History));
}

}  // namespace galvan::sim
