/** The camera in a page: its picture as a video element that plays, or an Error that says why there is none. */

const REASONS = {
  NotFoundError: "No camera was found.",
  NotAllowedError: "The camera was refused. Allow it for this page in the browser's settings, and press the button again.",
  NotReadableError: "The camera can't be read: another program may be using it.",
};

/** Turn it on, on a phone the one at the back. */
export async function openCamera() {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers give the camera to pages from https alone, or from this machine (http://localhost).");
  }
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  video.ariaLabel = "What the camera sees";
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    throw new Error(REASONS[error.name] ?? `The camera can't be used: ${error.message}`, { cause: error });
  }
  await video.play();
  return video;
}

/** Turn it off. */
export function closeCamera(video) {
  for (const track of video.srcObject.getTracks()) track.stop();
  video.srcObject = null;
}

/** Whether it still gives pictures; unplugged, it doesn't. */
export function isOn(video) {
  return Boolean(video.srcObject?.active);
}
