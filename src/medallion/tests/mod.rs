mod coco;
mod lake;
mod refresh;
mod text;
mod transform;
