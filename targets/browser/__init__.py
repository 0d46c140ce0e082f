"""The browser as a target: a packed ONNX graph, a small ES module that feeds it, and headless Chromium to run both."""
