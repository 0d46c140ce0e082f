// Runs a packed ONNX model on rows from files through ONNX Runtime's C++ API.
//
//   ort_runner model.onnx ROWS numbers.f32 codes.i32 outputs.f32
//
// Files hold plain little-endian arrays: numbers [ROWS][C] float32, NaN where missing; codes [ROWS][S] int32, -1 for an
// unknown word; outputs [ROWS][K] float32. A model without number columns, or without words, doesn't read that file.
#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

std::vector<char> read(const std::string &path, size_t bytes) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> content(bytes);
    if (!file.read(content.data(), static_cast<std::streamsize>(bytes)) || file.peek() != EOF)
        throw std::runtime_error(path + ": doesn't hold " + std::to_string(bytes) + " bytes");
    return content;
}

void run(const std::string &model, int64_t rows, const std::string &numbers, const std::string &codes, const std::string &outputs) {
    Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "modelgpt_edge");
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    Ort::Session session(environment, model.c_str(), options);
    Ort::AllocatorWithDefaultOptions allocator;
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);

    std::vector<std::vector<char>> contents;
    std::vector<std::string> names;
    std::vector<Ort::Value> inputs;
    for (size_t i = 0; i < session.GetInputCount(); i++) {
        names.emplace_back(session.GetInputNameAllocated(i, allocator).get());
        const auto about = session.GetInputTypeInfo(i);
        const auto tensor = about.GetTensorTypeAndShapeInfo();
        const std::vector<int64_t> shape{rows, tensor.GetShape().at(1)};
        const size_t bytes = 4 * static_cast<size_t>(shape[0] * shape[1]);  // both types are of four bytes
        contents.push_back(read(names.back() == "numbers" ? numbers : codes, bytes));
        inputs.push_back(Ort::Value::CreateTensor(memory, contents.back().data(), bytes, shape.data(), 2, tensor.GetElementType()));
    }
    std::vector<const char *> given;
    for (const auto &name : names) given.push_back(name.c_str());
    const auto output = session.GetOutputNameAllocated(0, allocator);
    const char *wanted = output.get();
    const auto results = session.Run(Ort::RunOptions{nullptr}, given.data(), inputs.data(), inputs.size(), &wanted, 1);
    const size_t count = results[0].GetTensorTypeAndShapeInfo().GetElementCount();
    std::ofstream file(outputs, std::ios::binary);
    if (!file.write(reinterpret_cast<const char *>(results[0].GetTensorData<float>()), static_cast<std::streamsize>(4 * count)))
        throw std::runtime_error(outputs + ": can't be written");
    std::printf("%s: %zu values of %lld rows\n", wanted, count, static_cast<long long>(rows));
}

}  // namespace

int main(int count, char **arguments) {
    if (count != 6) {
        std::fprintf(stderr, "usage: %s model.onnx ROWS numbers.f32 codes.i32 outputs.f32\n", arguments[0]);
        return 2;
    }
    try {
        run(arguments[1], std::atoll(arguments[2]), arguments[3], arguments[4], arguments[5]);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
    return 0;
}
