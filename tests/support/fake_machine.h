#pragma once

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

namespace strata::test {

/// A folder that describes a machine: its /proc and /sys.
class FakeMachine {
 public:
  FakeMachine() {
    root_ = std::filesystem::temp_directory_path() /
            ("strata-machine-" + std::to_string(std::random_device{}()));
    file("/proc/meminfo", "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:   600 kB\n");
  }
  ~FakeMachine() { std::filesystem::remove_all(root_); }
  void file(const std::string& path, const std::string& text) const {
    const std::filesystem::path full = root_.string() + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  std::string root() const { return root_.string(); }

 private:
  std::filesystem::path root_;
};

}  // namespace strata::test
