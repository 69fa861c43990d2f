// The memory traffic that the heads of the kernels' files state is what the kernels do.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

#include "counted.h"
#include "memory_statements.h"

using namespace galvan;

namespace {

// The paragraph "Memory" of the comment that a file begins with, in one line.
std::string memory_paragraph(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string paragraph;
  bool inside = false;
  for (std::string text; std::getline(file, text) && text.starts_with("//");) {
    const size_t begin = text.find_first_not_of(' ', 2);
    if (begin == text.npos) continue;
    if (begin == 3) inside = text.starts_with("// Memory ");
    if (!inside) continue;
    const size_t words = begin == 3 ? text.find_first_not_of(' ', 9) : begin;
    paragraph += (paragraph.empty() ? "" : " ") + text.substr(words);
  }
  return paragraph;
}

// GALVAN_SHOW_COUNTS in the environment: a line a call.
void show(const Statement& statement, const Traffic& traffic, const sim::Counts& c) {
  static const bool wanted = std::getenv("GALVAN_SHOW_COUNTS") != nullptr;
  if (!wanted) return;
  std::cout << statement.file << ", " << traffic.what << ": bytes " << c.distinct_bytes_read << " + "
            << c.distinct_bytes_written << ", asked for " << c.bytes_read << " + " << c.bytes_written
            << "; requests " << c.requests << ", sectors " << c.sectors << ", uncoalesced " << c.uncoalesced
            << "; shared transactions " << c.shared_transactions << ", conflicts " << c.bank_conflicts
            << "; barriers " << c.barriers << '\n';
}

// The tails: a row's statistics, targets, lengths that are no multiples; the launches are so large that they are few.
constexpr double kTails = 0.02;

void check_bytes(const char* which, uint64_t counted, int64_t stated) {
  CAPTURE(which);
  CAPTURE(counted);
  CAPTURE(stated);
  CHECK(static_cast<double>(counted) <= (1 + kTails) * static_cast<double>(stated));
  CHECK(static_cast<double>(counted) >= (1 - kTails) * static_cast<double>(stated));
}

std::vector<Statement> all_statements() {
  std::vector<Statement> all;
  for (const auto& of_files : {pointwise_statements(), row_statements(), attention_statements(),
                               branch_statements(), optimizer_statements(), ladder_statements()})
    all.insert(all.end(), of_files.begin(), of_files.end());
  return all;
}

const std::filesystem::path kFolder = std::filesystem::path(GALVAN_SOURCE_DIR) / "cuda";

}  // namespace

TEST_CASE("kernels move the bytes that their files' heads state") {
  for (const Statement& statement : all_statements()) {
    CAPTURE(statement.file);
    CHECK(memory_paragraph(kFolder / statement.file) == statement.memory);
    for (const Traffic& traffic : statement.traffic) {
      CAPTURE(traffic.what);
      const sim::Counts counts = counts_of(traffic.run);
      show(statement, traffic, counts);
      check_bytes("distinct", counts.distinct_bytes_read + counts.distinct_bytes_written, traffic.distinct);
      check_bytes("asked for", counts.bytes_read + counts.bytes_written, traffic.asked);
    }
  }
}

TEST_CASE("every file of kernels states its memory traffic, and has it checked") {
  std::set<std::string> stated, files;
  for (const Statement& statement : all_statements()) stated.insert(statement.file);
  for (const std::filesystem::path& folder : {kFolder, kFolder / "ladder"})
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.path().extension() == ".cu") files.insert(entry.path().lexically_relative(kFolder).string());
  CHECK(stated == files);
}
