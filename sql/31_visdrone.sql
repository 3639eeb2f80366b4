-- Fragments of drone video for training: what ingest delivers for the dataset "visdrone" (frame folders of the tasks MOT
-- and VID), joined, with its counts by category as columns.

-- optional source: silver.visdrone_clips
-- One row a clip.
-- check: not_null(clip_uri, n_frames, n_fragments)
-- check: accepted_values(split, 'train', 'val', 'test')

-- optional source: silver.visdrone_fragments
-- One row a fragment. Frames count from 0, end_frame is inclusive; statistics are NULL for clips without annotations.
-- check: not_null(clip_uri, fragment_id, start_frame, end_frame, byte_offset, byte_length, init_length)
-- check: sql(a fragment has the frames from its first to its last)
--   SELECT * FROM silver.visdrone_fragments
--   WHERE n_frames <> end_frame - start_frame + 1 OR end_time <= start_time
-- check: sql(a fragment lies behind the initialization segment)
--   SELECT * FROM silver.visdrone_fragments
--   WHERE byte_offset < init_length OR byte_length <= 0
-- check: sql(n_objects is the sum of classes)
--   SELECT * FROM silver.visdrone_fragments
--   WHERE n_objects <> list_sum(map_values(classes)) AND n_objects > 0

-- optional source: silver.visdrone_tracks
-- One row a box: where a tracked object is in a frame.
-- check: not_null(clip_uri, fragment_id, frame, track_id, bbox, category, counted)
-- check: sql(a counted box has a size, and a category that counts)
--   SELECT * FROM silver.visdrone_tracks
--   WHERE counted AND (bbox.w <= 0 OR bbox.h <= 0 OR score <> 1 OR category IN ('ignored regions', 'others'))
-- check: sql(the fragment of a box has its frame)
--   SELECT boxes.*
--   FROM silver.visdrone_tracks boxes
--   LEFT JOIN silver.visdrone_fragments fragments
--     ON fragments.clip_uri = boxes.clip_uri AND fragments.fragment_id = boxes.fragment_id
--     AND boxes.frame BETWEEN fragments.start_frame AND fragments.end_frame
--   WHERE fragments.clip_uri IS NULL

-- model: gold.visdrone_fragments
-- One row for each fragment of an annotated clip: where its bytes are (fragment_bytes(clip_uri, init_length, byte_offset,
-- byte_length) plays), what can be seen in it, and its split. n_objects is the number of counted boxes in all of its
-- frames, n_tracks the number of different objects; mean_area is the mean size of a box as a part of the frame, NULL
-- without boxes. A clip whose path names no split gets one from its name, as a whole: eighty in a hundred for training,
-- ten for validation and ten for testing.
-- check: unique(clip_uri, fragment_id)
-- check: not_null(clip_uri, fragment_id, byte_offset, byte_length, init_length, n_objects, n_tracks, split)
-- check: accepted_values(split, 'train', 'val', 'test')
-- check: row_count(<= silver.visdrone_fragments)
-- check: sql(a clip is in one split)
--   SELECT clip_uri, list(DISTINCT split ORDER BY split) AS splits
--   FROM gold.visdrone_fragments
--   GROUP BY clip_uri
--   HAVING count(DISTINCT split) > 1
-- check: sql(every box is in a category)
--   SELECT * FROM gold.visdrone_fragments
--   WHERE n_objects <> n_pedestrian + n_people + n_bicycle + n_car + n_van + n_truck + n_tricycle + n_awning_tricycle
--       + n_bus + n_motor
-- check: sql(no counted box is lost)
--   SELECT fragments.n, boxes.n AS n_boxes
--   FROM (SELECT coalesce(sum(n_objects), 0) AS n FROM gold.visdrone_fragments) fragments,
--        (SELECT count(*) FILTER (counted) AS n FROM (
--            FROM silver.visdrone_tracks
--            QUALIFY row_number() OVER (PARTITION BY clip_uri, source_line ORDER BY landing DESC) = 1
--        )) boxes
--   WHERE fragments.n <> boxes.n
WITH clips AS (
    SELECT
        clip_uri,
        width,
        height,
        frame_rate,
        coalesce(split, CASE
            WHEN md5_number_lower(file) % 100 < 80 THEN 'train'
            WHEN md5_number_lower(file) % 100 < 90 THEN 'val'
            ELSE 'test'
        END) AS split
    FROM silver.visdrone_clips
    QUALIFY row_number() OVER (PARTITION BY clip_uri ORDER BY landing DESC, file) = 1
),
fragments AS (
    SELECT * EXCLUDE (n_objects, n_tracks) FROM silver.visdrone_fragments
    WHERE n_objects IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY clip_uri, fragment_id ORDER BY landing DESC) = 1
),
-- A line that was corrected comes again in a later landing.
boxes AS (
    SELECT * FROM silver.visdrone_tracks
    QUALIFY row_number() OVER (PARTITION BY clip_uri, source_line ORDER BY landing DESC) = 1
),
counts AS (
    SELECT
        clip_uri,
        fragment_id,
        count(*) AS n_objects,
        count(DISTINCT track_id) AS n_tracks,
        count(*) FILTER (category = 'pedestrian') AS n_pedestrian,
        count(*) FILTER (category = 'people') AS n_people,
        count(*) FILTER (category = 'bicycle') AS n_bicycle,
        count(*) FILTER (category = 'car') AS n_car,
        count(*) FILTER (category = 'van') AS n_van,
        count(*) FILTER (category = 'truck') AS n_truck,
        count(*) FILTER (category = 'tricycle') AS n_tricycle,
        count(*) FILTER (category = 'awning-tricycle') AS n_awning_tricycle,
        count(*) FILTER (category = 'bus') AS n_bus,
        count(*) FILTER (category = 'motor') AS n_motor,
        -- In a fixed order: the sum of the same numbers in another order may differ in its last digit.
        sum(bbox.w * bbox.h ORDER BY source_line) / count(*) AS mean_area
    FROM boxes
    WHERE counted
    GROUP BY clip_uri, fragment_id
)
SELECT
    clip_uri,
    fragment_id,
    start_frame,
    end_frame,
    start_time,
    end_time,
    byte_offset,
    byte_length,
    init_length,
    n_frames,
    frame_rate,
    codec,
    sha256,
    coalesce(counts.n_objects, 0) AS n_objects,
    coalesce(counts.n_tracks, 0) AS n_tracks,
    coalesce(n_pedestrian, 0) AS n_pedestrian,
    coalesce(n_people, 0) AS n_people,
    coalesce(n_bicycle, 0) AS n_bicycle,
    coalesce(n_car, 0) AS n_car,
    coalesce(n_van, 0) AS n_van,
    coalesce(n_truck, 0) AS n_truck,
    coalesce(n_tricycle, 0) AS n_tricycle,
    coalesce(n_awning_tricycle, 0) AS n_awning_tricycle,
    coalesce(n_bus, 0) AS n_bus,
    coalesce(n_motor, 0) AS n_motor,
    mean_area / (width * height) AS mean_area,
    split
FROM fragments
JOIN clips USING (clip_uri)
LEFT JOIN counts USING (clip_uri, fragment_id)
ORDER BY clip_uri, fragment_id
;
