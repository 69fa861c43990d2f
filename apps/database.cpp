#include "apps/database.h"

#include <sqlite3.h>
#include <unistd.h>

#include <cmath>

#include "core/check.h"

namespace galvan {
namespace {

// As the library takes a file that does not change; what has a meaning in there is escaped.
std::string immutable_uri(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(path).string())
    uri += c == '%' ? "%25" : c == '?' ? "%3f" : c == '#' ? "%23" : std::string(1, c);
  return uri + "?immutable=1";
}

}  // namespace

Database::Database(const std::filesystem::path& path, For purpose) : path_(path.string()) {
  // Beside a log an ordinary reader is needed; without one nothing but the file itself, which nobody changes here.
  const auto may_write = [](const std::filesystem::path& what) { return ::access(what.c_str(), W_OK) == 0; };
  const bool only_reads = purpose == For::reading && !(may_write(path) && may_write(path.parent_path()));
  std::error_code ignored;
  const bool is_alone = only_reads && !std::filesystem::exists(path_ + "-wal", ignored);
  const int flags = only_reads               ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
                    : purpose == For::making ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                             : SQLITE_OPEN_READWRITE;
  if (sqlite3_open_v2(is_alone ? immutable_uri(path).c_str() : path_.c_str(), &db_, flags, nullptr) !=
      SQLITE_OK) {
    const std::string message = concat(path_, ": ", db_ == nullptr ? "out of memory" : sqlite3_errmsg(db_));
    sqlite3_close(db_);
    fail(message);
  }
  sqlite3_busy_timeout(db_, 60'000);
  if (only_reads) return;
  try {
    run("PRAGMA journal_mode = WAL");
    run("PRAGMA synchronous = FULL");
    run("PRAGMA foreign_keys = ON");
  } catch (...) {
    sqlite3_close(db_);
    throw;
  }
}

Database::~Database() { sqlite3_close(db_); }

void Database::fail_with_message() const { fail(path_, ": ", sqlite3_errmsg(db_)); }

void Database::run(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail_with_message();
}

Statement::Statement(Database& db, const std::string& sql) : db_(db) {
  check_code(sqlite3_prepare_v2(db.handle(), sql.c_str(), -1, &statement_, nullptr));
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::check_code(int code) const {
  if (code != SQLITE_OK) db_.fail_with_message();
}

Statement& Statement::bind(int parameter, int64_t value) {
  check_code(sqlite3_bind_int64(statement_, parameter, value));
  return *this;
}

Statement& Statement::bind(int parameter, double value) {
  check_code(std::isnan(value) ? sqlite3_bind_null(statement_, parameter)
                               : sqlite3_bind_double(statement_, parameter, value));
  return *this;
}

Statement& Statement::bind(int parameter, const std::optional<double>& value) {
  return bind(parameter, value.value_or(std::nan("")));
}

Statement& Statement::bind(int parameter, const std::string& value) {
  check_code(sqlite3_bind_text(statement_, parameter, value.data(), static_cast<int>(value.size()),
                               SQLITE_TRANSIENT));
  return *this;
}

bool Statement::next() {
  const int code = sqlite3_step(statement_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) db_.fail_with_message();
  return code == SQLITE_ROW;
}

bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::real(int column) const {
  return is_null(column) ? std::nan("") : sqlite3_column_double(statement_, column);
}
std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return bytes == nullptr ? ""
                          : std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

Transaction::~Transaction() {
  if (open_) sqlite3_exec(db_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  db_.run("COMMIT");
  open_ = false;
}

}  // namespace galvan
