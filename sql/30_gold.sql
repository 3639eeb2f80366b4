-- Ready to be used: what a training loop or a report reads as it is.

-- model: gold.coco_samples
-- One row for each image that can be opened, with everything that is known of it. `label` is the category that covers
-- the most area, and NULL for an image without objects: nobody said that it shows background. `caption` is the first
-- of `captions`, NULL if there is none; lists are empty instead of NULL.
-- check: unique(image_id)
-- check: not_null(image_id, image_uri, captions, labels, n_objects, n_people, split)
-- check: accepted_values(split, 'train', 'val', 'test')
-- check: row_count(<= silver.coco_images)
-- check: sql(every image that can be opened is a sample)
--   SELECT image_id FROM silver.coco_images
--   WHERE image_uri IS NOT NULL AND image_id NOT IN (SELECT image_id FROM gold.coco_samples)
-- check: sql(label and labels agree with the objects)
--   SELECT * FROM gold.coco_samples
--   WHERE (n_objects = 0) <> (label IS NULL)
--      OR (label IS NOT NULL AND NOT list_contains(labels, label))
--      OR n_people > n_objects
-- check: sql(no object is lost)
--   SELECT samples.n, boxes.n AS n_boxes
--   FROM (SELECT coalesce(sum(n_objects), 0) AS n FROM gold.coco_samples) samples,
--        (SELECT count(*) AS n FROM silver.coco_annotations) boxes
--   WHERE samples.n <> boxes.n
WITH kinds AS (
    -- The sum runs in a fixed order: the sum of the same numbers in another order may differ in its last digit.
    SELECT image_id, category, count(*) AS n, sum(area ORDER BY annotation_id, area) AS area
    FROM silver.coco_annotations
    GROUP BY image_id, category
),
objects AS (
    SELECT
        image_id,
        first(category ORDER BY area DESC, category) AS label,
        list(category ORDER BY category) AS labels,
        sum(n)::BIGINT AS n_objects,
        coalesce(sum(n) FILTER (category = 'person'), 0)::BIGINT AS n_people
    FROM kinds
    GROUP BY image_id
),
sentences AS (
    SELECT image_id, list(caption ORDER BY caption_id NULLS LAST, caption) AS captions
    FROM silver.coco_captions
    GROUP BY image_id
)
SELECT
    image_id,
    image_uri,
    captions[1] AS caption,
    coalesce(captions, []) AS captions,
    label,
    coalesce(labels, []) AS labels,
    coalesce(n_objects, 0) AS n_objects,
    coalesce(n_people, 0) AS n_people,
    width,
    height,
    split
FROM silver.coco_images
LEFT JOIN objects USING (image_id)
LEFT JOIN sentences USING (image_id)
WHERE image_uri IS NOT NULL
ORDER BY image_id
;

-- model: gold.coco_categories
-- How often each category is seen in each split: whether a training set is balanced, and what its validation set lacks.
-- check: unique(category, split)
-- check: not_null(category, split, n_objects, n_images)
-- check: accepted_values(split, 'train', 'val', 'test')
-- check: row_count(<= silver.coco_annotations)
-- check: sql(no object is lost)
--   SELECT counted.n, boxes.n AS n_boxes
--   FROM (SELECT coalesce(sum(n_objects), 0) AS n FROM gold.coco_categories) counted,
--        (SELECT count(*) AS n FROM silver.coco_annotations) boxes
--   WHERE counted.n <> boxes.n
-- check: sql(an image with objects has at least one)
--   SELECT * FROM gold.coco_categories
--   WHERE n_images < 1 OR n_images > n_objects
SELECT
    category,
    min(supercategory) AS supercategory,
    split,
    count(*) AS n_objects,
    count(DISTINCT image_id) AS n_images
FROM silver.coco_annotations
GROUP BY category, split
ORDER BY category, split
;
