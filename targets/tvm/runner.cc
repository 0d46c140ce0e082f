// Runs a compiled model on rows: runner model.so weights.safetensors [calls] < rows > outputs
//
// A row is the model's inputs as numbers, parted by blanks, commas or line ends; for each row the outputs are printed on one
// line. With `calls`, one more pass over the last row is timed that often and the median printed on stderr. It needs
// libtvm_ffi and nothing else:
//   g++ -std=c++17 -O2 runner.cc -I $TVM_FFI/include -L $TVM_FFI/lib -ltvm_ffi -o runner
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/tvm_ffi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace ffi = tvm::ffi;

// One argument of the function: a view of aligned memory that is never moved.
struct Argument {
  std::string role;
  DLDataType type{};
  std::vector<int64_t> shape, strides;
  char* data = nullptr;
  int64_t count = 1;

  int64_t bytes() const { return count * (type.bits / 8); }

  DLTensor tensor() {
    strides.assign(shape.size(), 1);
    for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
    DLTensor t{};
    t.data = data;
    t.device = {kDLCPU, 0};
    t.ndim = static_cast<int32_t>(shape.size());
    t.dtype = type;
    t.shape = shape.data();
    t.strides = strides.data();
    return t;
  }

  void set(int64_t i, double value) {
    if (type.code == kDLFloat) {
      reinterpret_cast<float*>(data)[i] = static_cast<float>(value);
    } else if (type.bits == 64) {
      reinterpret_cast<int64_t*>(data)[i] = static_cast<int64_t>(value);
    } else {
      reinterpret_cast<int32_t*>(data)[i] = static_cast<int32_t>(value);
    }
  }
};

DLDataType type_of(const std::string& name) {
  if (name == "F32") return {kDLFloat, 32, 1};
  if (name == "I32") return {kDLInt, 32, 1};
  if (name == "I64") return {kDLInt, 64, 1};
  if (name == "BOOL") return {kDLBool, 8, 1};
  throw std::runtime_error("the weights hold a type that the runner doesn't know: " + name);
}

// Reads the header of a safetensors file: {"name":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},...}
class Header {
 public:
  explicit Header(const std::string& text) : text_(text) {}

  void expect(char c) {
    if (at_ >= text_.size() || text_[at_] != c) throw std::runtime_error("the weights' header can't be read");
    ++at_;
  }
  bool take(char c) {
    bool found = at_ < text_.size() && text_[at_] == c;
    at_ += found;
    return found;
  }
  std::string word() {
    std::string out;
    expect('"');
    while (at_ < text_.size() && text_[at_] != '"') {
      at_ += text_[at_] == '\\';
      if (at_ < text_.size()) out += text_[at_++];
    }
    expect('"');
    return out;
  }
  std::vector<int64_t> numbers() {
    std::vector<int64_t> out;
    expect('[');
    while (!take(']')) {
      char* end = nullptr;
      out.push_back(std::strtoll(text_.c_str() + at_, &end, 10));
      if (end == text_.c_str() + at_) throw std::runtime_error("the weights' header can't be read");
      at_ = static_cast<size_t>(end - text_.c_str());
      take(',');
    }
    return out;
  }

 private:
  const std::string& text_;
  size_t at_ = 0;
};

// The arguments of the function by name, which sorts them in order; "0003.weight.bias" has the role "weight".
std::map<std::string, Argument> read_arguments(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(std::string("can't open ") + path);
  std::string content((std::istreambuf_iterator<char>(file)), {});
  uint64_t length = 0;
  if (content.size() < 8) throw std::runtime_error("the weights are cut short");
  std::memcpy(&length, content.data(), 8);
  if (length > content.size() - 8) throw std::runtime_error("the weights are cut short");
  std::string text = content.substr(8, length);
  const char* data = content.data() + 8 + length;
  const int64_t size = static_cast<int64_t>(content.size() - 8 - length);

  std::map<std::string, Argument> arguments;
  Header header(text);
  header.expect('{');
  while (!header.take('}')) {
    std::string name = header.word(), type;
    Argument argument;
    std::vector<int64_t> place;
    header.expect(':');
    header.expect('{');
    while (!header.take('}')) {
      std::string key = header.word();
      header.expect(':');
      if (key == "dtype") type = header.word();
      else if (key == "shape") argument.shape = header.numbers();
      else place = header.numbers();
      header.take(',');
    }
    header.take(',');
    if (place.size() != 2 || place[0] < 0 || place[0] > place[1] || place[1] > size)
      throw std::runtime_error("the weights are cut short");
    if (name == "plan") continue;  // how the file was made
    argument.type = type_of(type);
    argument.role = name.substr(5, name.find('.', 5) - 5);
    for (int64_t n : argument.shape) argument.count *= n;
    if (place[1] - place[0] != argument.bytes()) throw std::runtime_error("the weights' sizes don't agree");
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, std::max<int64_t>(argument.bytes(), 64))) throw std::bad_alloc();
    argument.data = static_cast<char*>(std::memcpy(memory, data + place[0], argument.bytes()));
    arguments[name] = argument;
  }
  return arguments;
}

bool read_row(std::vector<Argument*>& inputs) {
  bool first = true;
  for (Argument* input : inputs) {
    for (int64_t i = 0; i < input->count; ++i, first = false) {
      std::string word;
      for (int c; (c = std::cin.get()) != EOF;) {
        bool parting = std::isspace(c) || c == ',';
        if (!parting) word += static_cast<char>(c);
        else if (!word.empty()) break;
      }
      if (word.empty() && first) return false;
      char* end = nullptr;
      input->set(i, std::strtod(word.c_str(), &end));
      if (word.empty() || *end) throw std::runtime_error("a row is too short or holds no number: '" + word + "'");
    }
  }
  return true;
}

int run(int argc, char** argv) {
  if (argc < 3) throw std::runtime_error("usage: runner model.so weights.safetensors [calls] < rows > outputs");
  ffi::Module library = ffi::Module::LoadFromFile(argv[1]);
  ffi::Function core = library->GetFunction("core").value();
  std::map<std::string, Argument> arguments = read_arguments(argv[2]);
  std::vector<Argument*> inputs, outputs;
  std::vector<DLTensor> tensors;
  tensors.reserve(arguments.size());
  std::vector<ffi::AnyView> views;
  for (auto& [name, argument] : arguments) {
    if (argument.role == "input") inputs.push_back(&argument);
    if (argument.role == "output") outputs.push_back(&argument);
    tensors.push_back(argument.tensor());
    views.emplace_back(&tensors.back());
  }
  ffi::Any none;
  auto call = [&] { core.CallPacked(views.data(), static_cast<int32_t>(views.size()), &none); };
  while (read_row(inputs)) {
    call();
    const char* parting = "";
    for (Argument* output : outputs)
      for (int64_t i = 0; i < output->count; ++i, parting = " ")
        std::printf("%s%.9g", parting, reinterpret_cast<float*>(output->data)[i]);
    std::printf("\n");
  }
  if (argc > 3 && std::atoi(argv[3]) > 0) {
    std::vector<double> times(std::atoi(argv[3]));
    for (double& time : times) {
      auto start = std::chrono::steady_clock::now();
      call();
      time = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    }
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    std::fprintf(stderr, "median %.2f us\n", times[times.size() / 2]);
  }
  return 0;
}

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "runner: %s\n", error.what());
    return 1;
  }
}
