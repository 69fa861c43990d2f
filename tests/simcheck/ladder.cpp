// The counts of every rung of every ladder stand in the documents' tables, between <!-- counts:NAME --> and
// <!-- /counts -->. With GALVAN_WRITE_LADDERS in the environment (scripts/ladder-counts --write) they are made anew.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "counted.h"
#include "cuda/sim/limits.h"
#include "ladder_cases.h"

using namespace galvan;

namespace {

// 1234567 as 1,234,567.
std::string grouped(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

// The ladder's table in a document from whose folder `root` leads to the project's.
std::string table_of(const Ladder& ladder, const std::string& root) {
  std::ostringstream table;
  table << ladder.shape
        << ":\n\n| version | launches | bytes asked for | requests | not coalesced | sectors | shared "
           "requests | "
           "transactions | bank conflicts | barriers | registers "
           "|\n|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const Rung& rung : ladder.rungs) {
    table << "| [" << rung.version << "](" << root << ladder.file_of(rung) << ") |";
    const std::vector<sim::Counts> launches = launches_of(ladder.by(rung));
    if (launches.empty()) {
      table << " a library's | | | | | | | | | |\n";
      continue;
    }
    unsigned registers = 0;
    for (const sim::Counts& launch : launches)
      registers = std::max(registers, sim::registers_of(launch.kernel, sim::register_table()));
    const sim::Counts c = sum_of(launches);
    for (const uint64_t count :
         {launches.size(), c.bytes_read + c.bytes_written, c.requests, c.uncoalesced, c.sectors,
          c.shared_requests, c.shared_transactions, c.bank_conflicts, c.barriers, uint64_t{registers}})
      table << ' ' << grouped(count) << " |";
    table << '\n';
  }
  return table.str();
}

std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("the tables of the ladders hold what is counted") {
  struct Document {
    std::string path, root;
    std::vector<std::string> ladders;
  };
  std::vector<std::string> all;
  for (const Ladder& ladder : ladders()) all.push_back(ladder.name);
  for (const Document& document :
       {Document{"cuda/ladder/README.md", "../../", all}, Document{"docs/kernels.md", "../", {"matmul"}}}) {
    CAPTURE(document.path);
    const std::filesystem::path path = std::filesystem::path(GALVAN_SOURCE_DIR) / document.path;
    const std::string before = text_of(path);
    std::string after = before;
    for (const Ladder& ladder : ladders()) {
      if (std::find(document.ladders.begin(), document.ladders.end(), ladder.name) == document.ladders.end())
        continue;
      const std::string begin = "<!-- counts:" + ladder.name + " -->\n", end = "<!-- /counts -->";
      const size_t first = after.find(begin) + begin.size(), last = after.find(end, first);
      CAPTURE(ladder.name);
      REQUIRE(after.find(begin) != after.npos);
      REQUIRE(last != after.npos);
      after.replace(first, last - first, table_of(ladder, document.root));
    }
    if (std::getenv("GALVAN_WRITE_LADDERS") != nullptr) {
      std::ofstream(path) << after;
    } else {
      CHECK_MESSAGE(before == after, "scripts/ladder-counts --write makes the tables anew");
    }
  }
}
