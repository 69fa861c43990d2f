// SQLite, as much of it as is needed. Every error is thrown: "FILE: what SQLite says".
//
//   Database db("study.db");
//   Transaction change(db);                       // rolled back unless it is committed
//   Statement insert(db, "INSERT INTO trials VALUES (?, ?)");
//   insert.bind(1, number).bind(2, "running").run();
//   change.commit();
//   for (Statement rows(db, "SELECT number FROM trials"); rows.next();) use(rows.integer(0));
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

struct sqlite3;
struct sqlite3_stmt;

namespace galvan {

class Database {
 public:
  // Opens the file, which must be there unless it is to be made. What is committed is on the disk (a write-ahead log,
  // synced), and who finds the file locked waits for up to a minute. To read, a folder that one may not write will do.
  enum class For { making, changing, reading };
  Database(const std::filesystem::path& path, For purpose);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void run(const std::string& sql);
  [[noreturn]] void fail_with_message() const;
  sqlite3* handle() const { return db_; }

 private:
  std::string path_;
  sqlite3* db_ = nullptr;
};

class Statement {
 public:
  Statement(Database& db, const std::string& sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Parameters count from 1.
  Statement& bind(int parameter, int64_t value);
  Statement& bind(int parameter, double value);  // NaN and nothing are NULL
  Statement& bind(int parameter, const std::string& value);
  Statement& bind(int parameter, const std::optional<double>& value);

  bool next();                     // a row more?
  void run() { next(); }           // for what has no rows
  bool is_null(int column) const;  // columns count from 0
  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;

 private:
  void check_code(int code) const;
  Database& db_;
  sqlite3_stmt* statement_ = nullptr;
};

// Nobody else writes until its end.
class Transaction {
 public:
  explicit Transaction(Database& db) : db_(db) { db_.run("BEGIN IMMEDIATE"); }
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& db_;
  bool open_ = true;
};

}  // namespace galvan
