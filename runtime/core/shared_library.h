#pragma once

#include <string>

namespace strata {

/// A library opened at run time, so that the program starts where it is missing. Its names are
/// bound at once and stay local to it. The library stays loaded until the process ends: drivers
/// leave threads and exit handlers behind.
class SharedLibrary {
 public:
  /// By file name (searched as the system does) or path. Does not throw: see loaded() and why().
  explicit SharedLibrary(const std::string& name);

  bool loaded() const { return handle_ != nullptr; }
  /// What the system said; "" when loaded.
  const std::string& why() const { return why_; }

  /// The address of `name`, or null when the library has none of that name or is not loaded.
  void* symbol(const char* name) const;
  template <class Function>
  Function* function(const char* name) const {
    return reinterpret_cast<Function*>(symbol(name));
  }

 private:
  void* handle_ = nullptr;
  std::string why_;
};

/// The folder that the running program lies in, without a slash at its end.
std::string program_folder();

}  // namespace strata
