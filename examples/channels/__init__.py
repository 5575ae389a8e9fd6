"""Live channels, published for real with ffmpeg over RTMP, that report to Holdfast and obey it."""
