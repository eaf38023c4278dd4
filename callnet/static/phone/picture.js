/**
 * Makes a photo of a person out of any picture: a square of at most 32 KiB. What a canvas writes has no Exif in it,
 * which would say where and when the picture was taken.
 */

const LARGEST = 32 * 1_024;
/** The largest face on a page is 7 rem wide. */
const SIDES = [384, 256, 128];
const QUALITIES = [0.9, 0.8, 0.7, 0.6, 0.5];
const TYPES = ["image/webp", "image/jpeg"];

/**
 * The photo as a `data:` URL.
 * @param {Blob} file
 * @throws {Error} the browser cannot read it, or it does not become small enough
 */
export async function photoFrom(file) {
  const picture = await createImageBitmap(file);
  try {
    for (const side of SIDES) {
      const canvas = squareOf(picture, side);
      for (const quality of QUALITIES) {
        const url = written(canvas, quality);
        if (sizeOf(url) <= LARGEST) return url;
      }
    }
  } finally {
    picture.close();
  }
  throw new Error("too large");
}

function squareOf(picture, side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  // What can be seen through, a JPEG would have in black.
  context.fillStyle = "white";
  context.fillRect(0, 0, side, side);
  const { width, height } = picture;
  const least = Math.min(width, height);
  // The face in an upright picture is above its middle.
  context.drawImage(picture, (width - least) / 2, (height - least) / 3, least, least, 0, 0, side, side);
  return canvas;
}

function written(canvas, quality) {
  const urls = TYPES.map((type) => [type, canvas.toDataURL(type, quality)]);
  // A browser that does not write a type writes a PNG.
  return urls.find(([type, url]) => url.startsWith(`data:${type}`))[1];
}

function sizeOf(url) {
  return ((url.length - url.indexOf(",") - 1) * 3) / 4;
}
