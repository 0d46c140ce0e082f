"""The browser as a target: an ONNX graph, a small ES module that feeds it rows or texts, and headless Chromium to run both."""
